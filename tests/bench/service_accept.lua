-- wrk's side of tests/bench/service: one token, one request. TOKENS is a file of "APP TOKEN" lines, of
-- which each thread takes its share; PAUSE is the milliseconds that a connection rests between two.
local threads = 0
function setup(thread)
   thread:set("index", threads)
   threads = threads + 1
end

function init()
   local share, number = tonumber(os.getenv("BENCH_THREADS")), 0
   lines, at, pause = {}, 0, tonumber(os.getenv("BENCH_PAUSE") or "0")
   version = os.getenv("BENCH_VERSION")
   for line in io.lines(os.getenv("BENCH_TOKENS")) do
      if number % share == index then
         lines[#lines + 1] = line
      end
      number = number + 1
   end
   good, bad, first = 0, 0, nil
end

-- At random around the pause: connections that rest alike would ask in bursts.
function delay()
   return pause > 0 and math.random(0, 2 * pause) or 0
end

function request()
   at = at + 1
   if at > #lines then
      wrk.thread:stop()
      at = #lines
   end
   local app, token = lines[at]:match("^(%S+) (%S+)$")
   return wrk.format("POST", "/api/v1/deployments",
      {["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json",
       ["Idempotency-Key"] = index .. "-" .. at .. "-" .. os.getenv("BENCH_ROUND")},
      '{"verb":"deploy","app":"' .. app .. '","env":"staging","version":"' .. version .. '"}')
end

function response(status, headers, body)
   if status == 202 then
      good = good + 1
   elseif at < #lines then
      bad = bad + 1
      first = first or (status .. " " .. body)
   end
end

local all = {}
local old_setup = setup
function setup(thread)
   old_setup(thread)
   all[#all + 1] = thread
end

function done(summary, latency, requests)
   local good, bad, first = 0, 0, nil
   for _, thread in ipairs(all) do
      good, bad = good + thread:get("good"), bad + thread:get("bad")
      first = first or thread:get("first")
   end
   io.write(string.format("RESULT %d %d %d %d %d %d\n", good, bad, summary.duration,
      latency:percentile(50), latency:percentile(99), latency.max))
   if first then
      io.write("FIRST " .. first .. "\n")
   end
end

-- wrk's side of tests/bench/service: webhook deliveries, signed beforehand. HOOKS is a file of
-- "DELIVERY SIGNATURE BODY" lines.
local threads, all = 0, {}
function setup(thread)
   thread:set("index", threads)
   threads = threads + 1
   all[#all + 1] = thread
end

function init()
   local share, number = tonumber(os.getenv("BENCH_THREADS")), 0
   lines, at, good, bad = {}, 0, 0, 0
   for line in io.lines(os.getenv("BENCH_HOOKS")) do
      if number % share == index then
         lines[#lines + 1] = line
      end
      number = number + 1
   end
end

function request()
   at = at + 1
   if at > #lines then
      wrk.thread:stop()
      at = #lines
   end
   local delivery, signature, body = lines[at]:match("^(%S+) (%S+) (.+)$")
   return wrk.format("POST", "/hooks/github",
      {["Content-Type"] = "application/json", ["X-GitHub-Event"] = "workflow_run",
       ["X-GitHub-Delivery"] = delivery, ["X-Hub-Signature-256"] = signature}, body)
end

function response(status)
   if status == 202 then
      good = good + 1
   else
      bad = bad + 1
   end
end

function done(summary, latency)
   local good, bad = 0, 0
   for _, thread in ipairs(all) do
      good, bad = good + thread:get("good"), bad + thread:get("bad")
   end
   io.write(string.format("RESULT %d %d %d %d %d %d\n", good, bad, summary.duration,
      latency:percentile(50), latency:percentile(99), latency.max))
end

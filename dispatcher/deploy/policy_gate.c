// May it begin now, must it wait, is it refused (orchestrators.md §2.3, rule 10)? Locks, windows
// and freezes, order of versions, approvals: the first that holds answers. Facts in, answer out.
#include "dispatcher/memory.h"
#include "policy_internal.h"

bool
policy_may_hurry(const struct settings *settings, const struct policy_person *person)
{
    return person->login != NULL && policy_share(&settings->emergency_teams, &person->teams);
}

void
policy_warn(struct arena *arena, struct policy_gate *out, const char *text)
{
    size_t room = out->warnings.count; // few: a copy for each is fine
    policy_add(arena, &out->warnings, &room, text);
}

static void
gate_windows(const struct settings *settings, const struct policy_facts *facts, struct arena *arena,
    struct policy_gate *out)
{
    struct policy_window now = {0}, passed = {0};
    policy_window_now(settings, facts->now_ms, facts->emergency, &now);
    const struct setting_window *window = now.window;
    if (window == NULL && facts->emergency) {
        policy_window_now(settings, facts->now_ms, false, &passed);
        if (passed.window != NULL) {
            policy_warn(arena, out,
                arena_printf(arena, "the emergency passes window '%s'", passed.window->deny));
        }
    }
    if (window == NULL) {
        return;
    }
    const char *reason =
        window->reason != NULL
            ? arena_printf(arena, ", %s", policy_word(arena, window->reason, POLICY_REASON_MAX))
            : "";
    out->answer = POLICY_WAIT;
    out->code = REASON_WINDOW;
    out->until_ms = now.until_ms;
    out->on_release = "will run";
    out->who = cstr_equal(window->manual, "emergency")
                   ? arena_printf(arena, "the emergency path: %s",
                         policy_words(arena, &settings->emergency_teams, ", "))
                   : arena_printf(arena, "whoever owns the spec of '%s'", settings->app);
    out->sentence =
        now.unreadable
            ? arena_printf(arena,
                  "window '%s' (%s) of '%s' cannot be placed in time, so nothing is deployed",
                  window->deny != NULL ? window->deny : "", window->tz, settings->env)
            : arena_printf(arena, "nothing is deployed to '%s' now: window '%s' (%s)%s%s",
                  settings->env, window->deny, window->tz, reason,
                  policy_until(arena, now.until_ms));
}

static void
warn_of_emergency(const struct settings *settings, const struct policy_facts *facts,
    struct arena *arena, struct policy_gate *out)
{
    if (facts->emergency && settings->approvals.count > 0) {
        policy_warn(arena, out,
            arena_printf(arena, "the emergency passes %lld approvals",
                (long long)settings->approvals.count));
    }
}

static void
warn_of_no_proof(const struct settings *settings, struct arena *arena, struct policy_gate *out)
{
    bool proves = settings->verify_count > 0, deploys = false;
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct setting_service *service = &settings->services[i];
        deploys = deploys || service->deployable;
        proves = proves || (service->deployable && service->has_target);
    }
    if (deploys && !proves) {
        policy_warn(arena, out,
            arena_printf(arena,
                "the spec describes no target of '%s' in '%s': nothing proves what runs there",
                settings->app, settings->env));
    }
}

void
policy_warnings(const struct settings *settings, const struct policy_facts *facts,
    struct arena *arena, struct str_list *out)
{
    struct policy_gate gate = {.answer = POLICY_GO}; // what holds is not asked for here
    policy_gate_locks(facts, settings, false, arena, &gate);
    gate_windows(settings, facts, arena, &gate);
    policy_gate_locks(facts, settings, true, arena, &gate);
    warn_of_emergency(settings, facts, arena, &gate);
    warn_of_no_proof(settings, arena, &gate);
    *out = gate.warnings;
}

void
policy_gate(const struct settings *settings, const struct policy_facts *facts, struct arena *arena,
    struct policy_gate *out)
{
    *out = (struct policy_gate){.answer = POLICY_GO, .code = REASON_ALLOWED};
    policy_gate_locks(facts, settings, false, arena, out);
    if (out->answer == POLICY_GO) {
        gate_windows(settings, facts, arena, out);
    }
    if (out->answer == POLICY_GO) {
        policy_gate_locks(facts, settings, true, arena, out);
    }
    if (out->answer == POLICY_GO) {
        policy_gate_order(settings, facts, arena, out);
    }
    struct policy_gate approvals = {.answer = POLICY_GO};
    policy_gate_approvals(settings, facts, arena, &approvals);
    out->approvals_needed = approvals.approvals_needed;
    out->approvals_given = approvals.approvals_given;
    if (out->answer == POLICY_GO && approvals.answer != POLICY_GO) {
        approvals.warnings = out->warnings;
        *out = approvals;
    }
    if (out->answer == POLICY_GO) {
        warn_of_emergency(settings, facts, arena, out);
        out->sentence =
            arena_printf(arena, "nothing holds '%s' back in '%s'", settings->app, settings->env);
    }
}

// The list of what was found. Decides nothing about it.
#include "findings.h"

#include "deploy_internal.h"
#include "dispatcher/memory.h"

void
findings_init(struct findings *findings, struct arena *arena)
{
    *findings = (struct findings){
        .arena = arena, .list = arena_array(arena, FINDINGS_MAX, sizeof(struct doctor_finding))};
}

static void
add(struct findings *findings, struct doctor_finding finding)
{
    if (findings->count < FINDINGS_MAX) {
        findings->list[findings->count++] = finding;
    }
}

void
findings_good(struct findings *findings, const char *area, const char *text)
{
    add(findings, (struct doctor_finding){.area = area, .verdict = DOCTOR_GOOD, .text = text});
}

void
findings_warn(struct findings *findings, const char *area, const char *text, const char *fix)
{
    add(findings,
        (struct doctor_finding){.area = area, .verdict = DOCTOR_WARNING, .text = text, .fix = fix});
}

void
findings_bad(struct findings *findings, const char *area, const char *text, const char *fix,
    enum error_kind kind)
{
    add(findings, (struct doctor_finding){.area = area,
                      .verdict = DOCTOR_BAD,
                      .text = text,
                      .fix = fix,
                      .exit_code = error_kind_exit_code(kind)});
}

static const char *
fix_of(const struct findings *findings, const struct error *err)
{
    const char *hint = error_hint_of(err);
    return arena_dup(findings->arena, hint != NULL ? hint : error_kind_text(error_kind(err)));
}

bool
findings_passed(struct findings *findings, const char *area, struct error *err)
{
    if (err == NULL) {
        return true;
    }
    char *text CLEANUP(xfreep) = error_text(err);
    findings_bad(findings, area, context_masked(findings->arena, text), fix_of(findings, err),
        error_kind(err));
    error_free(err);
    return false;
}

bool
findings_noted(struct findings *findings, const char *area, struct error *err)
{
    if (err == NULL) {
        return true;
    }
    char *text CLEANUP(xfreep) = error_text(err);
    findings_warn(findings, area, context_masked(findings->arena, text), fix_of(findings, err));
    error_free(err);
    return false;
}

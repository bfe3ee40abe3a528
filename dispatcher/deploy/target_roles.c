// Roles of a target as findings. IAM is asked by name, and answers for the account of the
// credentials only: a role of another account of the same name must not be taken for it.
#include "target_roles.h"

#include <string.h>

#include "dispatcher/iam.h"
#include "dispatcher/memory.h"
#include "dispatcher/sts.h"

enum { ROLE_MAX_SHOWN = 300 };

static const char area[] = "role";

struct inspection {
    const struct step_run *run;
    struct findings *findings;
    struct aws_session *aws;
    const char *account; // of the credentials; NULL: not known
};

// "execution role arn:…": how every finding about it begins.
static const char *
subject_of(const struct inspection *i, const struct target_role *role)
{
    return arena_printf(i->run->arena, "%s %s", role->what,
        context_clean(i->run->arena, role->role, ROLE_MAX_SHOWN));
}

// Workers share their roles.
static bool
was_told(const struct findings *findings, const char *subject)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct doctor_finding *finding = &findings->list[i];
        struct str text = str_of(finding->text);
        if (strcmp(finding->area, area) == 0 && str_starts(text, str_of(subject)) &&
            str_starts(str_skip(text, strlen(subject)), STR(" "))) {
            return true;
        }
    }
    return false;
}

// "arn:aws:iam::012345678901:role/name": the fifth field; empty for a name.
static struct str
account_of(const char *role)
{
    struct str field = {0}, rest = str_of(role);
    for (int i = 0; i < 5; i++) {
        if (!str_cut(rest, ':', &field, &rest) || rest.len == 0) {
            return (struct str){0};
        }
    }
    return field;
}

static bool
is_elsewhere(const struct inspection *i, const struct target_role *role)
{
    struct str account = account_of(role->role);
    return account.len > 0 && i->account != NULL && !str_equal(account, str_of(i->account));
}

static void
tell_trust(const struct inspection *i, const struct target_role *role, const char *subject,
    enum iam_trust trust)
{
    struct arena *arena = i->run->arena;
    if (trust == IAM_TRUST_NO) {
        findings_bad(i->findings, area,
            arena_printf(arena, "%s does not trust %s", subject, role->service),
            arena_printf(arena,
                "Add the service '%s' as a principal, with the action sts:AssumeRole, to "
                "the role's trust policy.",
                role->service),
            ERROR_SPEC);
        return;
    }
    findings_good(i->findings, area,
        arena_printf(arena, "%s trusts %s%s", subject, role->service,
            trust == IAM_TRUST_CONDITIONAL ? ", with conditions, which are not evaluated" : ""));
}

// Of the account that was asked, but is it the one that is meant? Its path is part of an ARN.
static void
tell_role(const struct inspection *i, const struct target_role *role, const char *subject,
    const struct iam_role *found)
{
    struct arena *arena = i->run->arena;
    bool is_arn = account_of(role->role).len > 0;
    bool is_other = found->arn != NULL && is_arn && strcmp(found->arn, role->role) != 0;
    if (found->arn != NULL && !is_other) {
        tell_trust(i, role, subject, iam_trusts(found->trust_json, role->service));
        return;
    }
    findings_bad(i->findings, area,
        is_other ? arena_printf(arena, "%s does not exist (the role of that name is %s)", subject,
                       context_clean(arena, found->arn, ROLE_MAX_SHOWN))
                 : arena_printf(arena, "%s does not exist", subject),
        arena_printf(arena, "Create it so that it trusts %s, or name another one.", role->service),
        ERROR_SPEC);
}

static void
look_at(const struct inspection *i, const struct target_role *role, const char *subject)
{
    struct arena *arena = i->run->arena;
    struct iam_role found = {0};
    if (is_elsewhere(i, role)) {
        findings_warn(i->findings, area,
            arena_printf(arena, "%s is of another account than %s, where it cannot be looked at",
                subject, context_clean(arena, i->account, ROLE_MAX_SHOWN)),
            arena_printf(arena, "See there that it exists and trusts %s.", role->service));
        return;
    }
    struct error *err = iam_role_get(i->aws, role->role, arena, &found);
    if (aws_is_denied(err)) {
        error_free(err);
        findings_warn(i->findings, area,
            arena_printf(arena, "%s may not be looked at: iam:GetRole is not allowed", subject),
            "Allow iam:GetRole to have it checked; a rollout does without.");
    } else if (err != NULL && error_kind(err) == ERROR_SPEC) { // it is no role at all
        (void)findings_passed(i->findings, area, err);
    } else if (findings_noted(i->findings, area, err)) {
        tell_role(i, role, subject, &found);
    }
}

// Without it nothing but the role's ARN tells whose the role is.
static void
ask_for_account(struct inspection *i)
{
    struct sts_identity identity = {0};
    struct error *err = sts_caller_identity(i->aws, i->run->arena, &identity);
    i->account = err == NULL ? identity.account : i->run->deployment->account;
    error_free(err);
}

void
target_roles_inspect(const struct step_run *run, const struct target_role *roles, size_t count,
    struct findings *findings)
{
    struct inspection inspection = {.run = run, .findings = findings};
    struct error *err = provider_aws(run->context, run->deployment, &inspection.aws);
    if (!findings_passed(findings, "aws", err)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *subject = roles[i].role != NULL ? subject_of(&inspection, &roles[i]) : NULL;
        if (subject == NULL || was_told(findings, subject)) {
            continue;
        }
        if (inspection.account == NULL) {
            ask_for_account(&inspection);
        }
        look_at(&inspection, &roles[i], subject);
    }
}

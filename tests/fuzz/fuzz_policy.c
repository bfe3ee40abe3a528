// What a spec's patterns and windows accept, against readers that are too simple to be wrong: of
// the input the first line is a pattern, the second a ref; or a window as a spec writes it.
#include <string.h>

#include "deploy/deploy_internal.h"
#include "dispatcher/policy.h"
#include "fuzz.h"
#include "spec/resolve_internal.h"

enum { TEXT_MAX = 300, WEEK_MINUTES = 7 * 24 * 60 };

// "*" inside a segment, "**" across; tries everything, and remembers what it has tried.
struct matching {
    const char *pattern, *text;
    signed char known[TEXT_MAX + 1][TEXT_MAX + 1]; // 0: not asked yet
};

static bool
matches(struct matching *m, size_t p, size_t t)
{
    const char *pattern = m->pattern + p, *text = m->text + t;
    if (m->known[p][t] != 0) {
        return m->known[p][t] > 0;
    }
    bool found = false;
    if (pattern[0] == '\0') {
        found = text[0] == '\0';
    } else if (pattern[0] != '*') {
        found = pattern[0] == text[0] && matches(m, p + 1, t + 1);
    } else {
        bool across = pattern[1] == '*';
        found = matches(m, p + (across ? 2 : 1), t) ||
                (text[0] != '\0' && (across || text[0] != '/') && matches(m, p, t + 1));
    }
    m->known[p][t] = found ? 1 : -1;
    return found;
}

static void
check_pattern(const char *pattern, const char *text)
{
    if (strlen(pattern) > TEXT_MAX || strlen(text) > TEXT_MAX) {
        return;
    }
    struct matching *m CLEANUP(xfreep) = xcalloc(1, sizeof(*m));
    m->pattern = pattern;
    m->text = text;
    bool expected = check_ref_pattern(pattern) == NULL && matches(m, 0, 0);
    if (check_ref_pattern(pattern) == NULL) {
        FUZZ_CHECK(environments_match(pattern, text) == expected);
        FUZZ_CHECK(!expected || str_starts(str_of(text), STR("refs/heads/")) ||
                   str_starts(str_of(text), STR("refs/tags/")));
    } else {
        (void)environments_match(pattern, text);
    }
}

// One whose form a spec may have is placed, and holds for a part of the week.
static void
check_one_window(const char *text)
{
    int from = 0, to = 0, minutes = 0;
    bool read = window_parse(text, &from, &to);
    FUZZ_CHECK(read || check_window(text) != NULL);
    if (!read) {
        return;
    }
    for (int now = 0; now < WEEK_MINUTES; now++) {
        bool inside = from < to ? now >= from && now < to : now >= from || now < to;
        FUZZ_CHECK(window_holds(from, to, now) == inside);
        minutes += inside ? 1 : 0;
    }
    FUZZ_CHECK(minutes > 0 && minutes < WEEK_MINUTES);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text CLEANUP(xfreep) = fuzz_text(data, size);
    char *second = strchr(text, '\n');
    if (second == NULL) {
        check_one_window(text);
        return 0;
    }
    *second = '\0';
    check_pattern(text, second + 1);
    return 0;
}

// PagerDuty's checks of an event, one flaw at a time; what it ignores is ignored.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "dispatcher/compiler.h"
#include "dispatcher/memory.h"
#include "pagerduty_event_internal.h"

#define KEY "'routing_key':'0123456789abcdef0123456789abcdef'"
#define PAYLOAD "'payload':{'summary':'s','source':'h','severity':'info'"

static void
assert_errors(const char *event, bool is_change, const char *wanted)
{
    char *quoted CLEANUP(xfreep) = xstrdup(event);
    for (char *at = quoted; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at; // cases are easier to read with single quotes
    }
    struct json *value CLEANUP(json_freep) = NULL, *errors CLEANUP(json_freep) = NULL;
    assert_null(json_parse(str_of(quoted), &json_limits_default, &value));
    errors = pagerduty_event_check(value, is_change);
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    for (size_t i = 0; i < json_count(errors); i++) {
        buf_printf(&text, "%s%s", i > 0 ? "\n" : "", json_str(json_at(errors, i)));
    }
    assert_string_equal(buf_cstr(&text), wanted);
}

static void
a_good_alert_passes(void **state)
{
    (void)state;
    static const char *const events[] = {
        "{" KEY ",'event_action':'trigger'," PAYLOAD "}}",
        "{" KEY ",'event_action':'acknowledge','dedup_key':'d'}",
        "{" KEY ",'event_action':'resolve','dedup_key':'d','payload':null,'other':[1]}",
        "{" KEY ",'event_action':'trigger','dedup_key':null,'client':'c','client_url':'u'," PAYLOAD
        ",'timestamp':'2026-11-21T07:48:00.123+01:00','component':'c','group':'g','class':'k',"
        "'custom_details':{'a':1}},'images':[{'src':'https://a.example/i.png'}],"
        "'links':[{'href':'http://a.example','text':'t'}]}",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(events); i++) {
        assert_errors(events[i], false, "");
    }
    assert_errors("{" KEY ",'payload':{'summary':'s'}}", true, "");
}

static void
a_flaw_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *event;
        bool is_change;
        const char *errors;
    } cases[] = {
        {"{'routing_key':7,'event_action':'resolve','dedup_key':'d'}", false,
            "'routing_key' is invalid (must be a string)"},
        {"{" KEY ",'event_action':3}", false, "'event_action' is invalid (must be a string)"},
        {"{" KEY ",'event_action':'Trigger'}", false,
            "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge', "
            "'resolve')"},
        {"{" KEY ",'event_action':'resolve','dedup_key':''}", false,
            "'dedup_key' is missing or blank"},
        {"{" KEY ",'event_action':'resolve','dedup_key':5}", false,
            "'dedup_key' is invalid (must be a string)"},
        {"{" KEY ",'event_action':'trigger','payload':[]}", false, "'payload' is missing or blank"},
        {"{" KEY ",'event_action':'trigger'," PAYLOAD ",'timestamp':5},'client':5}", false,
            "'payload.timestamp' is invalid (must be a string)\n"
            "'client' is invalid (must be a string)"},
        {"{" KEY ",'event_action':'trigger'," PAYLOAD "},'links':['x',{'text':'t'}]}", false,
            "'links[0].href' is missing or invalid\n'links[1].href' is missing or invalid"},
        {"{" KEY "}", true, "'payload' is missing or blank"},
        {"{" KEY ",'payload':{'summary':'s','timestamp':'now','custom_details':[]}}", true,
            "'payload.timestamp' is invalid (must be an ISO 8601 date)\n"
            "'payload.custom_details' is invalid (must be an object)"},
        {"{'routing_key':'R123456789abcdef0123456789abcdef','payload':{'summary':'s'}}", true,
            "Invalid routing key"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_errors(cases[i].event, cases[i].is_change, cases[i].errors);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_alert_passes),
        cmocka_unit_test(a_flaw_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

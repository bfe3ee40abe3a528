// Who hears what: the routes of all places for one app in one environment. A pure function of the
// trees; what a sink is made of is resolve_notify.c's.
#include <string.h>

#include "dispatcher/memory.h"
#include "resolve_internal.h"

const struct yaml_node *
notify_sink_at(const struct notify_places *places, size_t place, const char *name)
{
    const struct yaml_node *sink = yaml_get(yaml_get(places->blocks[place], "sinks"), name);
    return spec_node_is_empty(sink) ? NULL : sink;
}

// A block of defaults is a sink as well.
static bool
is_written_at(const struct notify_places *places, size_t place, const char *name)
{
    return spec_key_node(yaml_get(places->blocks[place], "sinks"), name) != NULL;
}

static bool
cuts_off(const struct notify_places *places, size_t place)
{
    const struct yaml_node *inherit = spec_node_at(places->blocks[place], "inherit");
    return inherit != NULL && strcmp(inherit->text, "false") == 0;
}

static bool
names(const struct yaml_node *list, const char *text)
{
    const struct yaml_node *item = list->first;
    while (item != NULL && strcmp(item->text, text) != 0) {
        item = item->next;
    }
    return item != NULL;
}

static bool
matches_one(const struct yaml_node *patterns, const char *text)
{
    const struct yaml_node *item = patterns->first;
    while (item != NULL && !environments_match(item->text, text)) {
        item = item->next;
    }
    return item != NULL;
}

// Without a key it holds for all; an empty list holds for none.
static bool
counts(const struct settings *settings, const struct yaml_node *route)
{
    const struct yaml_node *environments = spec_node_at(route, "environments");
    const struct yaml_node *apps = spec_node_at(route, "apps");
    const struct yaml_node *outcomes = spec_node_at(route, "outcomes");
    return (environments == NULL || names(environments, settings->env)) &&
           (apps == NULL || matches_one(apps, settings->app)) &&
           (outcomes == NULL || outcomes->first != NULL);
}

static void
add_route(
    struct notify_hearing *hearing, const struct spec_source *source, const struct yaml_node *route)
{
    const struct yaml_node *outcomes = spec_node_at(route, "outcomes");
    if (hearing->at == NULL) {
        hearing->at = route;
        hearing->source = source;
    }
    if (outcomes == NULL) {
        hearing->all = true;
    } else {
        hearing->outcomes |= notify_outcomes_of(outcomes);
    }
}

// A place without routes tells the sinks that it adds; one that cuts off, all that it writes.
static bool
is_told_anyway(const struct notify_places *places, size_t place, const char *name)
{
    bool wider = false;
    for (size_t i = place + 1; i < NOTIFY_PLACES; i++) {
        wider = wider || is_written_at(places, i, name);
    }
    return is_written_at(places, place, name) && (!wider || cuts_off(places, place));
}

bool
notify_hears(const struct settings *settings, const struct notify_places *places, const char *name,
    struct notify_hearing *out)
{
    *out = (struct notify_hearing){0};
    for (size_t place = 0; place < NOTIFY_PLACES; place++) {
        const struct yaml_node *routes = spec_node_at(places->blocks[place], "routes");
        if (routes == NULL && is_told_anyway(places, place, name)) {
            out->all = true;
        }
        const struct yaml_node *route = routes != NULL ? routes->first : NULL;
        for (; route != NULL; route = route->next) {
            if (names(yaml_get(route, "to"), name) && counts(settings, route)) {
                add_route(out, places->sources[place], route);
            }
        }
        if (cuts_off(places, place)) {
            break;
        }
    }
    return out->all || out->outcomes != 0;
}

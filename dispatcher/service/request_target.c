// A request's target and forms taken apart: percent signs decoded strictly. What holds a NUL or is
// no UTF-8 once it is decoded is no request of ours. Pure.
#include "request_internal.h"

#include <string.h>

enum { PAIRS_MAX = 64 };

static int
hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

const char *
request_decode(struct str text, bool plus, struct arena *arena)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        if (byte == '%') {
            int high = text.len - i > 2 ? hex_value(text.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text.ptr[i + 2]) : -1;
            if (low < 0) {
                return NULL;
            }
            byte = (char)(high * 16 + low);
            i += 2;
        } else if (byte == '+' && plus) {
            byte = ' ';
        }
        out[len++] = byte;
    }
    bool clean = memchr(out, '\0', len) == NULL && str_is_utf8((struct str){out, len});
    return clean ? out : NULL;
}

bool
request_pairs(struct str text, struct arena *arena, struct pair_list *out)
{
    struct str piece = {0}, rest = text;
    struct pair_list list = {.items = arena_array(arena, PAIRS_MAX, sizeof(*list.items))};
    while (str_cut(rest, '&', &piece, &rest)) {
        struct str name = {0}, value = {0};
        if (piece.len == 0) {
            continue;
        }
        (void)str_cut(piece, '=', &name, &value);
        struct pair pair = {request_decode(name, true, arena), request_decode(value, true, arena)};
        if (pair.key == NULL || pair.value == NULL || list.count == PAIRS_MAX) {
            return false;
        }
        list.items[list.count++] = pair;
    }
    *out = list;
    return true;
}

bool
request_split(const char *target, struct arena *arena, const char **path, struct pair_list *query)
{
    const char *mark = strchr(target, '?');
    size_t len = mark != NULL ? (size_t)(mark - target) : strlen(target);
    if (len == 0 || target[0] != '/' ||
        !request_pairs(str_of(mark != NULL ? mark + 1 : ""), arena, query)) {
        return false; // "*" and absolute targets: nobody sends them to an origin server
    }
    *path = arena_str(arena, (struct str){target, len});
    return true;
}

// A webhook of anybody: CloudEvents 1.0.2 in structured JSON mode, signed as Standard Webhooks say
// (github.com/standard-webhooks: webhook-id, webhook-timestamp, webhook-signature).
//
// The address may come from a spec: it must be https without a user and without a literal address,
// and it is connected to public addresses only, unless the organisation lists its host
// (`to_private`; then plain http on loopback will do). Its answer is never shown.
#pragma once

#include "dispatcher/notify.h"

struct webhook_delivery {
    const char *url;
    bool to_private;
    const struct secret *secret; // NULL: not signed
    const char *id;              // the event's: stays the same when it is sent again
    const char *body;            // the CloudEvent
};
void webhook_send(const struct platform *platform, struct http_client *http,
    const struct webhook_delivery *delivery, struct arena *arena, struct notify_result *out);

/// "v1,<base64 of HMAC-SHA256(id.timestamp.body)>". A secret "whsec_<base64>" is decoded; any other
/// is used as its bytes are.
void webhook_sign(const struct secret *secret, const char *id, int64_t timestamp_s, struct str body,
    struct buf *out);
/// What follows "whsec_" is masked from now on where it stands alone; sending does that, too.
void webhook_mask(const struct secret *secret);
/// May a message be sent there at all? NULL when fine, else what is wrong with the address ("must
/// be https", "names an address instead of a host"), for lint and for sending alike.
const char *webhook_url_problem(const char *url, bool to_private);

// Shared inside net/: the transport over libcurl.
#pragma once

#include "dispatcher/http.h"

/// The production transport. Options are copied.
NODISCARD struct error *curl_transport_new(const struct platform *platform,
    const struct http_client_options *options, struct http_transport **out);

// The files of assets/, as cmake/WebAssets.cmake writes them into a source of the build.
#pragma once

#include "dispatcher/web.h"

extern const struct web_asset assets_all[];
extern const size_t assets_count;

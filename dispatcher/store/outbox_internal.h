// Shared by the outbox's two files.
#pragma once

#include "dispatcher/outbox.h"
#include "store_internal.h"

// Names that may become part of a path, URL or parameter (protocols.md T20).
//
// `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$` in one place. Pure.
#pragma once

#include "dispatcher/error.h"
#include "dispatcher/str.h"

bool name_is_valid(struct str text);
/// ERROR_USAGE "app name 'x' …" with a hint, where `what` is "app name".
NODISCARD struct error *name_check(const char *what, const char *text);
/// owner/repo as GitHub allows it: one slash, [A-Za-z0-9_.-] on both sides, no "." or "..".
bool repository_name_is_valid(struct str text);
/// An OCI tag: [A-Za-z0-9_][A-Za-z0-9._-]{0,127} (OCI distribution 1.1).
bool tag_is_valid(struct str text);
/// "sha256:" and 64 lower-case hex digits.
bool digest_is_valid(struct str text);

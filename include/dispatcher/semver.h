// Semantic versions (semver.org 2.0.0), compared as such: v0.9.0 comes before v0.10.0.
//
//     if (semver_is_valid(STR("v1.2.3")) && semver_compare(STR("v0.9.0"), STR("v0.10.0")) < 0) …
//
// A leading 'v' is how people tag and is not part of the version. Pure; numbers may have any
// length.
#pragma once

#include "dispatcher/str.h"

/// MAJOR.MINOR.PATCH without leading zeros, then optionally -pre.release and +build (§2, 9, 10).
bool semver_is_valid(struct str text);
/// Below, at or above 0 as `a` comes before, with or after `b` (§11): a pre-release comes before
/// its release, build metadata counts nothing. Both must be valid.
int semver_compare(struct str a, struct str b);

// A story that is deployed as a service does it: begun, then advanced whenever it says that it is
// due, each time by a new process (a context of its own), and never with a sleep.
#pragma once

#include "deploy_story.h"

enum { ADVANCE_CALLS_MAX = 400 };

void pace_of_test_freep(struct deploy_pace **pace);
/// Comes when it is told to until it is over; how often. With `forgets` the pace is lost between
/// two calls, too. The outcome is story->d.
size_t story_advance_to_the_end(struct story *story, bool forgets);
/// story_deploy in that way; story->err as story_deploy.
void story_deploy_in_calls(struct story *story);

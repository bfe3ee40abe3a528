// What the context of every reader of this directory starts with, so that reader_close works on
// all.
#pragma once

struct reader {
    void (*close)(struct reader *reader);
};

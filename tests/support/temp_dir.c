// Directories for tests under /tmp. Removal does not follow links.
#define _XOPEN_SOURCE 700 // nftw

#include "temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "dispatcher/memory.h"

char *
temp_dir_new(void)
{
    char *dir = xstrdup("/tmp/dispatcher-test-XXXXXX");
    assert_ptr_equal(mkdtemp(dir), dir);
    return dir;
}

// Before its entries are read: a test may have taken the permissions away.
static int
open_up(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)walk;
    return type == FTW_D || type == FTW_DNR ? chmod(path, 0700) : 0;
}

static int
remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

void
temp_dir_removep(char **dir)
{
    if (*dir != NULL) {
        (void)nftw(*dir, open_up, 16, FTW_PHYS);
        (void)nftw(*dir, remove_one, 16, FTW_PHYS | FTW_DEPTH);
        free(*dir);
        *dir = NULL;
    }
}

char *
temp_dir_path(const char *dir, const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

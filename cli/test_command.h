/* Runs a command of the program inside a test, as a shell would. */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/attestation/test_attest.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

#define TEST_OUTPUT_MAX (1024 * 1024)

/* arguments[0] is the command's name; NULL entries are left out. Output of stdout goes through the
 * file at path; caller frees it. Returns the exit code. */
static inline int test_command(int (*command)(int, char **), const char *path,
                               const char *const *arguments, size_t n, char **ret_output)
{
    _cleanup_free_ char **argv = xcalloc(n + 1, sizeof(char *));
    _cleanup_buffer_ struct buffer text = {};
    int argc = 0;

    for (size_t i = 0; i < n; i++)
        if (arguments[i])
            argv[argc++] = (char *)arguments[i];
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(saved >= 0 && fd >= 0);
    dup2(fd, STDOUT_FILENO);
    int code = command(argc, argv);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(fd);
    expect_ok(file_read(path, TEST_OUTPUT_MAX, &text));
    *ret_output = xstrdup(buffer_text(&text));
    return code;
}

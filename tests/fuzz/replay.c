/*
 * Without libFuzzer: feeds every saved input to the target, so that each is a normal test. A
 * folder's files are taken one level deep. No inputs at all is a failure.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"

#define INPUT_MAX (16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t inputs;

/* An exact copy, so that a read behind the end is found. */
static void run_file(const char *path)
{
    _cleanup_buffer_ struct buffer content = {0};
    struct error *err = file_read(path, INPUT_MAX, &content);

    if (err) {
        fprintf(stderr, "%s\n", error_text(err));
        exit(1);
    }
    uint8_t *copy = malloc(content.size ? content.size : 1);
    if (!copy)
        exit(1);
    if (content.size)
        memcpy(copy, content.data, content.size);
    LLVMFuzzerTestOneInput(copy, content.size);
    free(copy);
    inputs++;
}

static void run_path(const char *path)
{
    struct stat st;
    DIR *dir = opendir(path);

    if (!dir) {
        run_file(path);
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        _cleanup_free_ char *file = xasprintf("%s/%s", path, entry->d_name);

        if (stat(file, &st) == 0 && S_ISREG(st.st_mode))
            run_file(file);
    }
    closedir(dir);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        run_path(argv[i]);
    printf("%zu inputs\n", inputs);
    return inputs > 0 ? 0 : 1;
}

#include "services/guest-agent/log_frames.h"

#include <time.h>

enum { TIME_MAX = 40, LINE_ROOM = LOG_LINE_MAX + TIME_MAX };

static bool two_digits(const char *text, int *ret)
{
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
        return false;
    *ret = (text[0] - '0') * 10 + text[1] - '0';
    return true;
}

static bool fields_of(const char *text, struct tm *ret_time)
{
    static const char shape[] = "....-..-..T..:..:..";
    int century, year, month;

    for (size_t i = 0; shape[i]; i++) {
        if (shape[i] != '.' && text[i] != shape[i])
            return false;
    }
    if (!two_digits(text, &century) || !two_digits(text + 2, &year) ||
        !two_digits(text + 5, &month) || !two_digits(text + 8, &ret_time->tm_mday) ||
        !two_digits(text + 11, &ret_time->tm_hour) || !two_digits(text + 14, &ret_time->tm_min) ||
        !two_digits(text + 17, &ret_time->tm_sec))
        return false;
    ret_time->tm_year = century * 100 + year - 1900;
    ret_time->tm_mon = month - 1;
    return true;
}

bool log_time_parse(const char *text, size_t size, int64_t *ret_ns, size_t *ret_length)
{
    struct tm parts = {0};
    int64_t fraction = 0;
    int64_t unit = 1000000000;
    size_t at = 19;

    if (size < 20 || !fields_of(text, &parts))
        return false;
    if (text[at] == '.') {
        for (at++; at < size && at < 29 && text[at] >= '0' && text[at] <= '9'; at++) {
            unit /= 10;
            fraction += (text[at] - '0') * unit;
        }
    }
    if (at >= size || text[at] != 'Z')
        return false;
    *ret_ns = (int64_t)timegm(&parts) * 1000000000 + fraction;
    *ret_length = at + 1;
    return true;
}

static bool emit(struct log_frames *frames, int index)
{
    struct buffer *line = &frames->lines[index];
    const char *text = buffer_text(line);
    size_t size = line->size;
    size_t prefix = 0;
    int64_t at_ns;

    if (log_time_parse(text, size, &at_ns, &prefix)) {
        frames->last_ns[index] = at_ns;
        prefix += prefix < size && text[prefix] == ' ';
    }
    if (size > prefix && text[size - 1] == '\r')
        size--;
    bool more = frames->on_line(frames->data, frames->last_ns[index], index == 1, text + prefix,
                                size - prefix);
    buffer_done(line);
    return more;
}

static bool add_text(struct log_frames *frames, int index, const char *text, size_t size)
{
    struct buffer *line = &frames->lines[index];

    while (size) {
        const char *end = memchr(text, '\n', size);
        size_t n = end ? (size_t)(end - text) : size;
        if (line->size + n > LINE_ROOM) {
            n = LINE_ROOM - line->size;
            end = NULL;
        }
        buffer_add(line, text, n);
        text += n + (end ? 1 : 0);
        size -= n + (end ? 1 : 0);
        if ((end || line->size >= LINE_ROOM) && !emit(frames, index))
            return false;
    }
    return true;
}

static size_t add_header(struct log_frames *frames, const uint8_t *bytes, size_t size)
{
    size_t n = sizeof(frames->header) - frames->have;

    n = n < size ? n : size;
    memcpy(frames->header + frames->have, bytes, n);
    frames->have += n;
    if (frames->have == sizeof(frames->header)) {
        const uint8_t *h = frames->header;
        frames->left = (size_t)h[4] << 24 | (size_t)h[5] << 16 | (size_t)h[6] << 8 | h[7];
        frames->have = frames->left ? frames->have : 0;
    }
    return n;
}

bool log_frames_add(struct log_frames *frames, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    /* A time starts with a digit, a frame with 0, 1 or 2. */
    if (!frames->started && size) {
        frames->started = true;
        frames->raw = bytes[0] > 2;
    }
    if (frames->raw)
        return add_text(frames, 0, data, size);
    while (size) {
        size_t n;
        if (frames->left == 0) {
            n = add_header(frames, bytes, size);
        } else {
            n = frames->left < size ? frames->left : size;
            if (!add_text(frames, frames->header[0] == 2, (const char *)bytes, n))
                return false;
            frames->left -= n;
            frames->have = frames->left ? frames->have : 0;
        }
        bytes += n;
        size -= n;
    }
    return true;
}

bool log_frames_end(struct log_frames *frames)
{
    bool more = true;

    for (int i = 0; more && i < 2; i++) {
        if (frames->lines[i].size)
            more = emit(frames, i);
    }
    return more;
}

void log_frames_done(struct log_frames *frames)
{
    buffer_done(&frames->lines[0]);
    buffer_done(&frames->lines[1]);
}

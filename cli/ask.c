#include "cli/ask.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/command.h"
#include "shared/base/alloc.h"
#include "shared/base/cleanup.h"

enum { SECRET_MAX = 4096 };

bool ask_yes(const char *warning)
{
    char line[16];

    if (!isatty(STDIN_FILENO)) {
        (void)command_fail_here(error_new(
            ERROR_FAILED_PRECONDITION, "%s\n  no terminal to ask on: say --yes to go on", warning));
        return false;
    }
    fprintf(stderr, "%s\n", warning);
    fputs("Go on? [y/N] ", stderr);
    if (!fgets(line, sizeof(line), stdin))
        return false;
    line[strcspn(line, "\n")] = '\0';
    return strcmp(line, "y") == 0 || strcmp(line, "yes") == 0;
}

/* One byte. mask: the signals that are held back at other times may end the waiting; NULL: none
 * are. */
static ssize_t read_byte(int fd, const sigset_t *mask, char *ret_byte)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    if (mask && ppoll(&wait, 1, NULL, mask) < 0)
        return -1;
    return read(fd, ret_byte, 1);
}

/* Byte by byte, so that nothing of the line stays in a buffer of the C library. */
static struct error *read_line(int fd, const sigset_t *mask, char **ret_line)
{
    char line[SECRET_MAX];
    size_t n = 0;
    ssize_t got = 0;

    while (n < sizeof(line) && (got = read_byte(fd, mask, &line[n])) == 1 && line[n] != '\n')
        n++;
    bool whole = n < sizeof(line);
    while (n && (line[n - 1] == '\r' || line[n - 1] == ' '))
        n--;
    if (got >= 0 && whole)
        *ret_line = xstrndup(line, n);
    OPENSSL_cleanse(line, sizeof(line));
    if (got < 0)
        return error_errno(errno, "read the key");
    return whole ? NULL : error_new(ERROR_INVALID_ARGUMENT, "that is too long for a key");
}

struct error *ask_secret_from_stdin(char **ret_secret)
{
    return read_line(STDIN_FILENO, NULL, ret_secret);
}

static void on_interrupt(_unused_ int number)
{
}

/* An interrupt ends the reading, so that the terminal shows again what is typed. It is held back
 * but while a byte is waited for: none is lost in between. */
static struct error *read_hidden(int tty, const char *question, char **ret_secret)
{
    const struct sigaction interrupt = {.sa_handler = on_interrupt};
    struct sigaction old;
    struct termios before;
    sigset_t held;
    sigset_t mask;

    if (tcgetattr(tty, &before) < 0)
        return error_errno(errno, "terminal");
    struct termios hidden = before;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigprocmask(SIG_BLOCK, &held, &mask);
    sigdelset(&mask, SIGINT);
    sigaction(SIGINT, &interrupt, &old);
    tcsetattr(tty, TCSAFLUSH, &hidden); /* before the question: who answers fast is not shown */
    dprintf(tty, "%s", question);
    struct error *err = read_line(tty, &mask, ret_secret);
    tcsetattr(tty, TCSAFLUSH, &before);
    dprintf(tty, "\n");
    sigaction(SIGINT, &old, NULL);
    sigprocmask(SIG_UNBLOCK, &held, NULL);
    return err;
}

struct error *ask_secret(const char *question, char **ret_secret)
{
    _cleanup_close_ int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

    if (tty < 0)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "there is no terminal to ask on: give --key-file FILE or --key-stdin");
    return read_hidden(tty, question, ret_secret);
}

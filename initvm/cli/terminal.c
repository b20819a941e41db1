/* SPDX-License-Identifier: MIT */
#include "cli/terminal.h"

#include "base/util.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define DEFAULT_WIDTH 80

/* Static, because the handler of a crash and atexit(3) can reach nothing else. */
static struct {
        struct termios saved;
        int fd;
        volatile sig_atomic_t raw;
        bool hooked;
} state;

bool terminal_is_live(int fd)
{
        const char *term = getenv("TERM");
        return isatty(fd) && term && *term && !streq(term, "dumb");
}

const char *terminal_style(int fd, const char *style)
{
        const char *no_color = getenv("NO_COLOR");

        if (no_color && *no_color)
                return "";
        return terminal_is_live(fd) ? style : "";
}

unsigned terminal_width(int fd)
{
        struct winsize size;
        return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : DEFAULT_WIDTH;
}

void terminal_restore(void)
{
        if (!state.raw)
                return;
        /* TCSAFLUSH would drop what the user typed for the shell already */
        while (tcsetattr(state.fd, TCSADRAIN, &state.saved) < 0 && errno == EINTR)
                ;
        state.raw = 0;
}

static void restore_and_die(int signo)
{
        if (state.raw)
                tcsetattr(state.fd, TCSANOW, &state.saved);
        raise(signo); /* SA_RESETHAND: now with its default action */
}

static void hook_exits(void)
{
        static const int crashes[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
        struct sigaction action = {.sa_handler = restore_and_die, .sa_flags = SA_RESETHAND | SA_NODEFER};

        if (state.hooked)
                return;
        state.hooked = true;
        atexit(terminal_restore);
        for (size_t i = 0; i < ARRAY_SIZE(crashes); i++)
                sigaction(crashes[i], &action, NULL);
}

int terminal_raw(int fd, struct error *err)
{
        struct termios raw;

        terminal_restore();
        if (tcgetattr(fd, &state.saved) < 0)
                return error_errno(err, errno, "cannot read the terminal's settings");
        raw = state.saved;
        cfmakeraw(&raw);
        hook_exits();
        state.fd = fd;
        state.raw = 1;
        if (tcsetattr(fd, TCSADRAIN, &raw) < 0) {
                int saved = errno;

                state.raw = 0;
                return error_errno(err, saved, "cannot set the terminal to raw mode");
        }
        return 0;
}

void terminal_suspend(void)
{
        struct error ignored = ERROR_INIT;
        bool raw = state.raw;

        terminal_restore();
        raise(SIGSTOP);
        if (raw)
                terminal_raw(state.fd, &ignored); /* it was one: at worst it stays as it is */
}

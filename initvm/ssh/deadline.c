/* SPDX-License-Identifier: MIT */
#include "ssh/deadline.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>

/* For the handler: the one thing of this program that is not passed along. */
static volatile sig_atomic_t guarded_fd = -1, passed;

static void on_alarm(int signo)
{
        int saved = errno;

        (void)signo;
        if (guarded_fd >= 0) {
                passed = 1;
                shutdown(guarded_fd, SHUT_RDWR);
        }
        errno = saved;
}

static void arm(uint64_t after_ms)
{
        const struct itimerval timer = {
                .it_value = {.tv_sec = (time_t)(after_ms / 1000), .tv_usec = (suseconds_t)(after_ms % 1000) * 1000}};

        setitimer(ITIMER_REAL, &timer, NULL);
}

void deadline_begin(int fd, uint64_t after_ms)
{
        const struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};

        sigaction(SIGALRM, &action, NULL);
        passed = 0;
        guarded_fd = fd;
        arm(after_ms);
}

bool deadline_end(void)
{
        arm(0);
        guarded_fd = -1;
        return passed;
}

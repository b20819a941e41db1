/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include "base/util.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level current_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
        current_level = level;
}

/* One write(2) a line, so that lines of several threads and processes stay whole. */
void log_write(enum log_level level, const char *fmt, ...)
{
        static const char *const names[] = {"error", "warning", "info", "debug"};
        autofree char *text = NULL, *line = NULL;
        char stamp[32];
        struct timespec ts;
        struct tm tm;
        va_list ap;

        if (level > current_level)
                return;
        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        clock_gettime(CLOCK_REALTIME, &ts);
        localtime_r(&ts.tv_sec, &tm);
        strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
        line = xasprintf("%s.%03ld %s %s\n", stamp, ts.tv_nsec / 1000000, names[level], text);
        if (write(STDERR_FILENO, line, strlen(line)) < 0)
                return; /* nobody left to tell */
}

/* SPDX-License-Identifier: MIT */
#include "job/stats.h"

#include "base/file.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

#define FILE_MAX (64u << 10) /* io.stat has a line for each disk */

uint64_t stats_value(const char *text, const char *key)
{
        size_t n = strlen(key);

        for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                if (strncmp(line, key, n) == 0 && line[n] == ' ')
                        return strtoull(line + n + 1, NULL, 10);
        return 0;
}

uint64_t stats_sum(const char *text, const char *key)
{
        autofree char *pattern = xasprintf(" %s=", key);
        uint64_t sum = 0;

        for (const char *at = text; (at = strstr(at, pattern));) {
                at += strlen(pattern);
                sum += strtoull(at, NULL, 10);
        }
        return sum;
}

static char *read_one(const char *cgroup, const char *name)
{
        autofree char *path = xasprintf("%s/%s", cgroup, name);
        char *text = file_read(path, FILE_MAX, NULL, NULL);

        return text ? text : xstrdup("");
}

void stats_read(const char *cgroup, struct stats *ret)
{
        autofree char *cpu = read_one(cgroup, "cpu.stat"), *io = read_one(cgroup, "io.stat");
        autofree char *current = read_one(cgroup, "memory.current"), *peak = read_one(cgroup, "memory.peak");
        autofree char *events = read_one(cgroup, "memory.events");

        *ret = (struct stats){.cpu_us = stats_value(cpu, "usage_usec"),
                              .memory = strtoull(current, NULL, 10),
                              .memory_peak = strtoull(peak, NULL, 10),
                              .read = stats_sum(io, "rbytes"),
                              .written = stats_sum(io, "wbytes"),
                              .oom_kills = stats_value(events, "oom_kill")};
}

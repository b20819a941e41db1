/* SPDX-License-Identifier: MIT */
#include "wire/agent_version.h"

#include "base/util.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "initvm-agent "

const char *agent_version_line(const char *version)
{
        static _Thread_local char line[128];

        snprintf(line, sizeof(line), PROGRAM "%s (protocol %d to %d)", version, AGENT_PROTOCOL_MIN, AGENT_PROTOCOL_MAX);
        return line;
}

static int parse_parts(const char *text, unsigned part[3])
{
        return sscanf(text, "%9u.%9u.%9u", &part[0], &part[1], &part[2]) == 3 ? 0 : -1;
}

static int parse_line(const char *line, struct agent_version *ret)
{
        struct agent_version v = {.protocol_min = 1, .protocol_max = 1};
        const char *protocol = strchr(line, '(');

        if (parse_parts(line, v.part) < 0)
                return -1;
        if (protocol && sscanf(protocol, "(protocol %9u to %9u)", &v.protocol_min, &v.protocol_max) != 2)
                return -1;
        *ret = v;
        return 0;
}

int agent_version_parse(const char *output, struct agent_version *ret)
{
        autostrv char **lines = strv_split(output, "\r\n");

        for (char **line = lines; *line; line++)
                if (str_has_prefix(*line, PROGRAM) && parse_line(*line + strlen(PROGRAM), ret) == 0)
                        return 0;
        return -1;
}

int agent_version_read(const char *text, uint64_t protocol_min, uint64_t protocol_max, struct agent_version *ret)
{
        struct agent_version v = {.protocol_min = (unsigned)protocol_min, .protocol_max = (unsigned)protocol_max};

        if (parse_parts(text, v.part) < 0 || protocol_min > protocol_max || protocol_max > UINT_MAX)
                return -1;
        *ret = v;
        return 0;
}

static bool is_older(const struct agent_version *agent, const char *version)
{
        unsigned wanted[3] = {0};

        parse_parts(version, wanted);
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
                if (agent->part[i] != wanted[i])
                        return agent->part[i] < wanted[i];
        return false;
}

enum agent_verdict agent_version_judge(const struct agent_version *agent, const char *version)
{
        if (agent->protocol_max < AGENT_PROTOCOL_MIN)
                return AGENT_UPDATE_FIRST;
        if (agent->protocol_min > AGENT_PROTOCOL_MAX)
                return AGENT_TOO_NEW;
        return is_older(agent, version) ? AGENT_USE_UPDATE : AGENT_USE;
}

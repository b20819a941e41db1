/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Exit statuses as in timeout(1), env(1) and the shells: 124 timed out, 125 we failed, 126 not executable, 127 not found.  Of the
 * commands that have none of those: 2 for a wrong call, 3 when the connection was lost, so that to try again may help. */
static const struct {
        const char *wire_name;
        int exit_status;
        int exec_status;
} error_table[_ERR_MAX] = {
        [ERR_NONE] = {"org.initvm.Ok", 0, 0},
        [ERR_FAILED] = {"org.initvm.Failed", 1, 125},
        [ERR_INVALID] = {"org.initvm.Invalid", 2, 125},
        [ERR_NOT_FOUND] = {"org.initvm.NotFound", 1, 125},
        [ERR_EXISTS] = {"org.initvm.Exists", 1, 125},
        [ERR_STATE] = {"org.initvm.State", 1, 125},
        [ERR_DENIED] = {"org.initvm.Denied", 1, 125},
        [ERR_NO_SPACE] = {"org.initvm.NoSpace", 1, 125},
        [ERR_TIMEOUT] = {"org.initvm.Timeout", 1, 124},
        [ERR_CANCELLED] = {"org.initvm.Cancelled", 1, 125},
        [ERR_PROTOCOL] = {"org.initvm.Protocol", 1, 125},
        [ERR_UNSUPPORTED] = {"org.initvm.Unsupported", 1, 125},
        [ERR_DISCONNECTED] = {"org.initvm.Disconnected", 3, 125},
        [ERR_NOT_EXECUTABLE] = {"org.initvm.NotExecutable", 1, 126},
        [ERR_NO_COMMAND] = {"org.initvm.NoCommand", 1, 127},
};

/* A message that was cut in the middle of a UTF-8 character ends before it. */
static void drop_cut_character(char *s)
{
        size_t n = strlen(s), start = n;

        if (n < ERROR_MESSAGE_MAX - 1)
                return;
        while (start > 0 && n - start < 4 && ((unsigned char)s[start - 1] & 0xc0) == 0x80)
                start--;
        if (start > 0 && (unsigned char)s[start - 1] >= 0xc0) {
                unsigned char lead = (unsigned char)s[start - 1];
                size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
                if (n - (start - 1) < length)
                        s[start - 1] = '\0';
        }
}

int(error_set)(struct error *err, enum error_code code, const char *fmt, ...)
{
        va_list ap;

        if (!err)
                return -1;
        err->code = code;
        va_start(ap, fmt);
        vsnprintf(err->message, sizeof(err->message), fmt, ap);
        va_end(ap);
        drop_cut_character(err->message);
        return -1;
}

static enum error_code code_of_errno(int errnum)
{
        switch (errnum) {
        case ENOENT:
                return ERR_NOT_FOUND;
        case EACCES:
        case EPERM:
                return ERR_DENIED;
        case ENOSPC:
        case EDQUOT:
                return ERR_NO_SPACE;
        case EEXIST:
                return ERR_EXISTS;
        case ETIMEDOUT:
                return ERR_TIMEOUT;
        default:
                return ERR_FAILED;
        }
}

int(error_errno)(struct error *err, int errnum, const char *fmt, ...)
{
        va_list ap;
        size_t used;

        if (!err)
                return -1;
        err->code = code_of_errno(errnum);
        va_start(ap, fmt);
        vsnprintf(err->message, sizeof(err->message), fmt, ap);
        va_end(ap);
        used = strlen(err->message);
        snprintf(err->message + used, sizeof(err->message) - used, ": %s", strerror(errnum));
        drop_cut_character(err->message);
        return -1;
}

int(error_prefix)(struct error *err, const char *fmt, ...)
{
        char inner[ERROR_MESSAGE_MAX];
        va_list ap;
        size_t used;

        if (!err)
                return -1;
        memcpy(inner, err->message, sizeof(inner));
        va_start(ap, fmt);
        vsnprintf(err->message, sizeof(err->message), fmt, ap);
        va_end(ap);
        used = strlen(err->message);
        snprintf(err->message + used, sizeof(err->message) - used, ": %.*s", (int)(sizeof(inner) - 1), inner);
        drop_cut_character(err->message);
        return -1;
}

const char *error_wire_name(enum error_code code)
{
        return error_table[code < _ERR_MAX ? code : ERR_FAILED].wire_name;
}

enum error_code error_from_wire_name(const char *name)
{
        for (int i = ERR_FAILED; name && i < _ERR_MAX; i++)
                if (strcmp(error_table[i].wire_name, name) == 0)
                        return i;
        return ERR_FAILED;
}

int error_exit_status(enum error_code code)
{
        return error_table[code < _ERR_MAX ? code : ERR_FAILED].exit_status;
}

int error_exec_status(enum error_code code)
{
        return error_table[code < _ERR_MAX ? code : ERR_FAILED].exec_status;
}

/* SPDX-License-Identifier: MIT */
#include "provision/host.h"

#include "base/util.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* The least that a system with a compiler took while it was made, tree and image at once; larger ones fail later. */
#define SPACE_MIN (2500ull << 20)

static bool find_tool(const char *name)
{
        static const char *const folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};

        if (name[0] == '/')
                return access(name, X_OK) == 0;
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                autofree char *path = xasprintf("%s/%s", folders[i], name);
                if (access(path, X_OK) == 0)
                        return true;
        }
        return false;
}

int host_check_tools(const struct host_tool *tools, size_t n, bool privileged, struct error *err)
{
        autostrv char **missing = NULL, **packages = NULL;
        autofree char *names = NULL, *list = NULL;

        for (size_t i = 0; i < n; i++)
                if (!find_tool(tools[i].name) && !(tools[i].unprivileged_only && privileged)) {
                        strv_add(&missing, tools[i].name);
                        strv_add(&packages, tools[i].package);
                }
        if (!missing)
                return 0;
        names = strv_join(missing, ", ");
        list = strv_join(packages, " ");
        return error_set(err, ERR_NOT_FOUND, "%s not found; install it with: apt install %s", names, list);
}

int host_check_space(const char *folder, struct error *err)
{
        struct statvfs st;
        uint64_t available;

        if (statvfs(folder, &st) < 0)
                return error_errno(err, errno, "cannot look at '%s'", folder);
        available = (uint64_t)st.f_bavail * st.f_frsize;
        if (available >= SPACE_MIN)
                return 0;
        return error_set(
                err, ERR_NO_SPACE,
                "too little space in '%s': %s are free, making a VM needs at least %s; free some, or move to another disk "
                "with INITVM_HOME",
                folder, format_size(available), format_size(SPACE_MIN));
}

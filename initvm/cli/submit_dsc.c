/* SPDX-License-Identifier: MIT */
#include "cli/submit_dsc.h"

#include "base/file.h"
#include "base/util.h"

#include <string.h>
#include <unistd.h>

/* A .dsc is a few kilobytes, with a signature and many binary packages as well. */
#define DSC_MAX (4u << 20)

/* " CHECKSUM SIZE NAME", of the field Files: or Checksums-Sha256:. */
static int add_file(const char *line, const char *path, char ***ret, struct error *err)
{
        autostrv char **words = strv_split(line, " \t\r");
        const char *slash = strrchr(path, '/');
        int folder = slash ? (int)(slash - path) + 1 : 0;

        if (strv_length(words) != 3 || strchr(words[2], '/') || words[2][0] == '.')
                return error_set(err, ERR_INVALID, "'%s' is malformed: a file cannot be '%s'", path, line);
        autofree char *file = xasprintf("%.*s%s", folder, path, words[2]);
        if (access(file, R_OK) < 0)
                return error_set(err, ERR_NOT_FOUND, "'%s', which belongs to '%s', is not there", file, path);
        strv_push(ret, take_ptr(file));
        return 0;
}

int dsc_files(const char *path, char ***ret, struct error *err)
{
        autofree char *text = file_read(path, DSC_MAX, NULL, err);
        autostrv char **lines = text ? strv_split(text, "\n") : NULL;
        bool in_files = false, seen = false;

        if (!text)
                return -1;
        strv_add(ret, path);
        for (char **line = lines; *line; line++) {
                bool more = **line == ' ' || **line == '\t';

                if (in_files && more && add_file(*line, path, ret, err) < 0)
                        return -1;
                if (!more) {
                        in_files = str_has_prefix(*line, "Files:") && !seen;
                        seen |= in_files;
                }
        }
        return seen ? 0 : error_set(err, ERR_INVALID, "'%s' lists no files: it is no source package", path);
}

/* SPDX-License-Identifier: MIT */
#include "ssh/remote_agent.h"

#include "ssh/upload.h"
#include "wire/agent_version.h"

#include <stdlib.h>
#include <string.h>

#define VERSION_OUTPUT_MAX 4096

/* 1: the program at the path will do; 0: it will not, *ret_status says how it ended; -1: could not be told. */
static int will_do(struct connection *c, const struct request *r, const char *path, int *ret_status, struct error *err)
{
        autofree char *command = xasprintf("%s --version", path);
        autofree char *output = NULL;
        struct agent_version version;

        if (connection_run(c, r, command, VERSION_OUTPUT_MAX, &output, ret_status, err) < 0)
                return -1;
        return *ret_status == 0 && agent_version_parse(output, &version) == 0 &&
               agent_version_judge(&version, INITVM_VERSION) == AGENT_USE;
}

const char *remote_agent_find(struct connection *c, const struct request *r, uploading_fn uploading, void *userdata,
                              struct error *err)
{
        const char *const paths[] = {r->agent_path, UPLOADED_AGENT_PATH};
        int status = -1;

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                int result = will_do(c, r, paths[i], &status, err);
                if (result != 0)
                        return result > 0 ? paths[i] : NULL;
        }
        uploading(userdata);
        if (upload_agent(c, r, err) < 0)
                return NULL;
        switch (will_do(c, r, UPLOADED_AGENT_PATH, &status, err)) {
        case 1:
                return UPLOADED_AGENT_PATH;
        case 0:
                error_set(err, ERR_UNSUPPORTED,
                          "the agent was uploaded to ~%s/%s, but does not run there (exit status %d): another architecture, or a "
                          "home "
                          "without execution",
                          r->user, UPLOADED_AGENT_PATH, status);
        }
        return NULL;
}

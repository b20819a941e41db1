/* SPDX-License-Identifier: MIT */
/* What the failures of the tools that fetch and install packages mean. */
#include "base/util.h"
#include "io/run.h"

#include <string.h>

/* Signs in a tool's output, the surest first. */
static const struct sign {
        const char *text;
        enum error_code code;
        const char *sentence;
} signs[] = {
        {"No space left on device", ERR_NO_SPACE, "no space left in '%s': free some, or move to another disk with INITVM_HOME"},
        {"Disk quota exceeded", ERR_NO_SPACE,
         "the disk quota of '%s' is used up: free some, or move to another disk with INITVM_HOME"},
        {"don't have enough free space", ERR_NO_SPACE,
         "no space left in '%s': free some, or move to another disk with INITVM_HOME"},
        {"Could not allocate block", ERR_INVALID, "the content does not fit on the disk of '%s': choose a larger --size"},
        {"NO_PUBKEY", ERR_DENIED,
         "a mirror is signed with a key that is not known: choose another --mirror, or give the repository its key"},
        {"Missing key ", ERR_DENIED, /* sqv's words, which apt asks since Debian 13 */
         "a mirror is signed with a key that is not known: choose another --mirror, or give the repository its key"},
        {"is not signed", ERR_DENIED,
         "a mirror is not signed, so nothing from it can be trusted: choose a signed one with --mirror"},
        {"is no longer signed", ERR_DENIED,
         "a mirror is not signed, so nothing from it can be trusted: choose a signed one with --mirror"},
        {"invalid signature", ERR_DENIED, "a mirror's signature is wrong: choose another one with --mirror"},
        {"Signed file isn't valid", ERR_DENIED, "a mirror's signature is none: choose another one with --mirror"},
        {"BADSIG", ERR_DENIED, "a mirror's signature is wrong: choose another one with --mirror"},
        {"EXPKEYSIG", ERR_DENIED, "a mirror is signed with an expired key: update the archive's keyring package"},
        {"Unable to locate package", ERR_INVALID, "the suite does not have a package that the preseed or the image names"},
        {"has no installation candidate", ERR_INVALID, "the suite does not have a package that the preseed or the image names"},
        {"is expired (invalid since", ERR_DENIED,
         "a mirror's Release file has expired, so its packages may be outdated on purpose: choose another one with --mirror, or "
         "set this host's clock right"},
        {"is not valid yet", ERR_DENIED, "a mirror's Release file is from the future: set this host's clock right"},
        {"Could not resolve", ERR_FAILED, "a mirror cannot be reached: check the network, or choose another one with --mirror"},
        {"Could not connect", ERR_FAILED, "a mirror cannot be reached: check the network, or choose another one with --mirror"},
        {"Connection timed out", ERR_FAILED,
         "a mirror cannot be reached: check the network, or choose another one with --mirror"},
};

int run_explain_cause(const struct run *run, const char *folder, struct error *err)
{
        if (err->code == ERR_CANCELLED)
                return -1;
        /* What a hook says of itself is nearer to the cause; its tools' output is not, unless it is about space. */
        for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
                const char *line = run_tail_find(run, signs[i].text);

                if (!line || (i > 3 && run->hook_error.code != ERR_NONE))
                        continue;
                error_set(err, signs[i].code, signs[i].sentence, folder);
                run_explain(run, err);
                return -1;
        }
        if (run->hook_error.code != ERR_NONE) {
                *err = run->hook_error;
                /* A wrong answer explains itself. */
                return err->code == ERR_INVALID || err->code == ERR_UNSUPPORTED ? -1 : run_explain(run, err);
        }
        return run_explain(run, err);
}

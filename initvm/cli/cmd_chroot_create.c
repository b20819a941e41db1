/* SPDX-License-Identifier: MIT */
/* initvm chroot create: a new Debian chroot by mmdebstrap in the VM, or from an archive or a folder. */
#include "base/digest.h"
#include "cli/chroot.h"
#include "cli/chroot_archive.h"
#include "cli/chroot_cache.h"
#include "cli/chroot_call.h"
#include "cli/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void add_option(char ***words, const struct invocation *inv, const char *option, const char *as)
{
        const char *text = arguments_text(&inv->arguments, option, NULL);

        if (text)
                strv_addf(words, "--%s=%s", as, text);
}

/* Packages: a list of lists that commas or blanks separate. */
static void add_packages(char ***words, const struct invocation *inv)
{
        autostrv char **lists = arguments_list(&inv->arguments, "include");

        for (char **list = lists; list && *list; list++) {
                autostrv char **names = strv_split(*list, ", ");

                for (char **name = names; *name; name++)
                        strv_addf(words, "--package=%s", *name);
        }
}

static int check_from(const struct invocation *inv, struct error *err)
{
        static const char *const others[] = {"variant", "include", "mirror", "keyring", "no-cache"};

        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                if (arguments_flag(&inv->arguments, others[i]))
                        return error_set(err, ERR_INVALID, "--%s says how a chroot is made, and --from that it is made already",
                                         others[i]);
        return 0;
}

/* The words of a command about the chroot that the options ask for. */
static char **words_for(const struct invocation *inv, const char *command, bool keyring, const char *key)
{
        autostrv char **mirrors = arguments_list(&inv->arguments, "mirror");
        char **words = chroot_argv(command);

        add_option(&words, inv, "arch", "architecture");
        add_option(&words, inv, "suite", "suite");
        add_option(&words, inv, "variant", "variant");
        add_packages(&words, inv);
        for (char **m = mirrors; m && *m; m++)
                strv_addf(&words, "--mirror=%s", *m);
        if (!arguments_switch(&inv->arguments, "accelerate", true))
                strv_add(&words, "--no-native");
        if (keyring)
                strv_add(&words, "--keyring");
        if (key)
                strv_addf(&words, "--key=%s", key);
        strv_add(&words, "--");
        strv_add(&words, inv->operands[0]);
        return words;
}

/* What the cache knows of one that is to be made. */
struct making {
        const struct invocation *inv;
        int keyring; /* -1: none */
        struct chroot_cache cache;
        struct json_object *reply; /* of `--chroot key`; NULL: the cache is not used */
        const char *key;           /* in it; NULL: nobody can tell what was on the mirror */
};

static void __attribute__((format(printf, 2, 3))) warn(const struct making *m, const char *fmt, ...)
{
        autofree char *text = NULL;
        autojson struct json_object *event = json_new();
        struct progress p;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        json_add_string(event, "warning", text);
        progress_init(&p, m->inv->json);
        progress_event(&p, event, now_ms());
        progress_flush(&p);
        progress_done(&p);
}

/* The key of what would be made now. */
static int ask_key(struct making *m, struct error *err)
{
        autostrv char **words = words_for(m->inv, "key", m->keyring >= 0, NULL), **lines = NULL;
        const struct chroot_call call = {
                .words = words, .input = m->keyring, .output = -1, .cancelled = "nothing was left behind"};
        int r = chroot_call(m->inv, &call, &lines, err);

        if (r != 0)
                return r;
        m->reply = chroot_record(lines, err);
        if (!m->reply)
                return -1;
        m->key = json_get_string(m->reply, "key", NULL);
        if (m->key && (!digest_valid(m->key) || !json_object_is_type(json_get(m->reply, "inputs"), json_type_object)))
                return error_set(err, ERR_PROTOCOL, "the agent's key for the cache is none"); /* it would become a folder */
        return 0;
}

/* 0 with *ret when it was there, 0 without when it was not. */
static int take_from_cache(struct making *m, char ***ret, struct error *err)
{
        autostrv char **words = words_for(m->inv, "unpack", false, m->key);
        struct chroot_source source = {.path = m->cache.folder, .fd = -1};
        autofree char *broken = NULL;
        struct error why = ERROR_INIT;
        int r = m->key ? chroot_cache_use(&m->cache, m->key, &source.fd, &broken, &why) : 0;

        if (broken)
                warn(m, "%s", broken);
        if (r < 0)
                warn(m, "the cache cannot be used: %s", why.message);
        if (r <= 0)
                return 0;
        r = chroot_send(m->inv, words, &source, ret, err);
        close(source.fd);
        return r;
}

static int make(struct making *m, char ***ret, struct error *err)
{
        autostrv char **words = words_for(m->inv, "create", m->keyring >= 0, NULL);
        const struct chroot_call call = {
                .words = words, .input = m->keyring, .output = -1, .cancelled = "nothing was left behind"};

        if (m->keyring >= 0 && m->reply && lseek(m->keyring, 0, SEEK_SET) < 0)
                return error_errno(err, errno, "cannot read the keyring again");
        return chroot_call(m->inv, &call, ret, err);
}

/* The chroot is there, whatever comes of this. 0, or 128+N when a signal has ended it. */
static int put_into_cache(struct making *m, char **lines)
{
        autojson struct json_object *record = chroot_record(lines, NULL);
        autostrv char **words = chroot_argv("export");
        autoentry struct new_entry entry = NEW_ENTRY_INIT;
        struct error err = ERROR_INIT;
        int r;

        if (!m->key || !streq(json_get_string(record, "key", NULL), m->key)) /* the mirror has changed meanwhile */
                return 0;
        strv_addf(&words, "--key=%s", m->key);
        strv_add(&words, "--");
        strv_add(&words, m->inv->operands[0]);
        r = chroot_cache_new(&m->cache, &entry, &err);
        if (r == 0)
                r = chroot_receive(m->inv, words, entry.fd, "zstd", "the chroot is there, and no copy of it is in the cache",
                                   &err);
        if (r == 0)
                r = chroot_cache_commit(&m->cache, &entry, m->key, json_get(m->reply, "inputs"), &err);
        if (r < 0)
                warn(m, "the chroot is there, but no copy of it could be kept in the cache: %s", err.message);
        return MAX(r, 0);
}

static int create(struct making *m, bool cached, struct error *err)
{
        autostrv char **lines = NULL;
        int r = 0, stored = 0;

        if (cached && ((r = ask_key(m, err)) != 0 || (r = take_from_cache(m, &lines, err)) != 0))
                return r;
        if (!lines) {
                r = make(m, &lines, err);
                if (r != 0)
                        return r;
                stored = put_into_cache(m, lines);
        }
        r = chroot_tell_made(m->inv, lines, "created", err);
        return r != 0 ? r : stored;
}

static int run_mmdebstrap(const struct invocation *inv, struct error *err)
{
        const char *keyring = arguments_text(&inv->arguments, "keyring", NULL);
        struct making m = {.inv = inv, .keyring = keyring ? open(keyring, O_RDONLY | O_CLOEXEC) : -1};
        bool cached = !arguments_flag(&inv->arguments, "no-cache");
        struct error why = ERROR_INIT;
        int r;

        if (keyring && m.keyring < 0)
                return error_errno(err, errno, "cannot read the keyring '%s'", keyring);
        if (m.keyring >= 0 && lseek(m.keyring, 0, SEEK_CUR) < 0) /* a pipe is read once */
                cached = false;
        if (cached && chroot_cache_open(&m.cache, NULL, &why) < 0) {
                warn(&m, "the cache cannot be used: %s", why.message);
                cached = false;
        }
        r = create(&m, cached, err);
        chroot_cache_done(&m.cache);
        json_object_put(m.reply);
        cleanup_close(&m.keyring);
        return r;
}

static int run(const struct invocation *inv, struct error *err)
{
        const char *from = arguments_text(&inv->arguments, "from", NULL);

        if (!from)
                return run_mmdebstrap(inv, err);
        return check_from(inv, err) < 0 ? -1 : chroot_import_from(inv, from, "created", err);
}

static const struct option_spec options[] = {
        {.name = "arch",
         .letter = 'a',
         .type = OPTION_STRING,
         .argument = "ARCH",
         .help = "Debian's name of the architecture (default: the VM's)"},
        {.name = "suite", .letter = 's', .type = OPTION_STRING, .argument = "SUITE", .help = "Debian suite (default: the VM's)"},
        {.name = "variant",
         .type = OPTION_CHOICE,
         .argument = "buildd|minbase|apt|essential|important|standard|extract",
         .help = "which packages it begins with, as mmdebstrap(1) names them (default: buildd)"},
        {.name = "include",
         .letter = 'i',
         .type = OPTION_LIST,
         .argument = "PACKAGES",
         .help = "more packages, separated by commas; may be repeated"},
        {.name = "mirror",
         .letter = 'm',
         .type = OPTION_LIST,
         .argument = "URL",
         .help = "Debian mirror, or a line 'deb ...' (default: what the VM uses); may be repeated"},
        {.name = "keyring",
         .letter = 'k',
         .type = OPTION_FILE,
         .argument = "FILE",
         .help = "keys that sign the mirror (default: the VM's)"},
        {.name = "from",
         .letter = 'f',
         .type = OPTION_FILE,
         .argument = "ARCHIVE|FOLDER",
         .help = "take this root filesystem of the host instead of making one"},
        {.name = "no-cache", .type = OPTION_FLAG, .help = "make it anew, and keep no copy of it on the host"},
        ACCELERATE_OPTION,
        OPTION_JSON_HELP,
        {0},
};

const struct command command_chroot_create = {
        .name = "create",
        .parent = &command_chroot,
        .flags = COMMAND_VM,
        .summary = "make a Debian chroot",
        .operands = "NAME",
        .min_operands = 1,
        .max_operands = 1,
        .options = options,
        .description =
                "mmdebstrap makes it in the VM, which also emulates what is of another architecture. Without --mirror "
                "packages come from the VM's own sources, with updates and security, also for another suite.\n"
                "A copy of what was made is kept on the host ('initvm cache'). Who asks for the same again, in whichever VM, "
                "gets that, as long as nothing is new on the mirror. Ctrl-C cancels and leaves nothing behind; once the chroot "
                "is made, only its copy is not kept.\n"
                "With --json each line is a progress event, the last one {\"chroot\": ...}.",
        .examples = "initvm chroot create box --arch armhf\n"
                    "initvm chroot create sid --suite sid --include devscripts,git\n"
                    "initvm chroot create old --from ./rootfs.tar.xz",
        .run = run,
};

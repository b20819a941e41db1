/* SPDX-License-Identifier: MIT */
/* Root and the first user: the questions of the installer's user-setup, named passwd/.... */
#include "provision/plan.h"

#include "base/util.h"

#include <ctype.h>
#include <string.h>

/* useradd(8): a lower case letter or '_', then those, digits and '-'; at most 32 characters. */
#define USERNAME_MAX 32

/* What user-setup gives the first user; those that the system has are taken. */
static const char *const groups_default[] = {"audio", "cdrom", "dip", "floppy", "video", "plugdev", "netdev"};

static bool username_valid(const char *name)
{
        if (strlen(name) > USERNAME_MAX || !(islower((unsigned char)name[0]) || name[0] == '_'))
                return false;
        for (const char *s = name; *s; s++)
                if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '-' && *s != '_')
                        return false;
        return true;
}

/* A crypted answer wins over a plain one, as in user-setup. ':' and line ends would end the field of chpasswd(8)'s input. */
static int read_password(struct plan_password *ret, struct preseed *p, const char *plain, const char *crypted, struct error *err)
{
        autofree char *c = plan_string(p, crypted);
        const char *s = preseed_string(p, plain);

        if (c && strchr(c, ':'))
                return preseed_invalid(p, preseed_find(p, NULL, crypted), err, "a crypted password holds no ':'");
        if (c) {
                ret->value = take_ptr(c);
                ret->crypted = true;
        } else if (s && *s) {
                ret->value = xstrdup(s);
        }
        return 0;
}

/* user-setup proposes the first word of the full name. */
static char *name_from(const char *fullname)
{
        char *s = xstrndup(fullname, strcspn(fullname, " "));

        for (char *c = s; *c; c++)
                *c = (char)tolower((unsigned char)*c);
        return s;
}

static int read_user(struct plan *plan, struct preseed *p, struct error *err)
{
        bool make = true;
        int asked = preseed_bool(p, "passwd/make-user", &make, err);
        autofree char *username = plan_string(p, "passwd/username");
        autofree char *fullname = plan_string(p, "passwd/user-fullname");
        autostrv char **groups = NULL;
        int given;

        if (asked < 0 ||
            read_password(&plan->user_password, p, "passwd/user-password", "passwd/user-password-crypted", err) < 0 ||
            preseed_u64(p, "passwd/user-uid", 1, UINT32_MAX - 2, &plan->user_uid, err) < 0)
                return -1;
        given = preseed_words(p, "passwd/user-default-groups", &groups, err);
        if (given < 0)
                return -1;
        for (size_t i = 0; !given && i < ARRAY_SIZE(groups_default); i++)
                strv_add(&groups, groups_default[i]);
        if (fullname && strpbrk(fullname, ":\n"))
                return preseed_invalid(p, preseed_find(p, NULL, "passwd/user-fullname"), err, "a full name holds no ':'");
        if (!username && fullname)
                username = name_from(fullname);
        if (!make)
                return 0;
        if (!username) {
                if (asked)
                        return preseed_invalid(p, preseed_find(p, NULL, "passwd/make-user"), err,
                                               "a user needs 'passwd/username'");
                return 0;
        }
        if (!username_valid(username) || streq(username, "root")) {
                const struct preseed_entry *e = preseed_find(p, NULL, "passwd/username");
                return preseed_invalid(p, e ? e : preseed_find(p, NULL, "passwd/user-fullname"), err,
                                       "'%s' cannot be a user's name", username);
        }
        plan->fullname = fullname ? take_ptr(fullname) : xstrdup("");
        plan->username = take_ptr(username);
        plan->user_groups = take_ptr(groups);
        return 0;
}

int plan_read_users(struct plan *plan, struct preseed *p, struct error *err)
{
        plan->root_login = true;
        if (preseed_bool(p, "passwd/root-login", &plan->root_login, err) < 0 ||
            read_password(&plan->root_password, p, "passwd/root-password", "passwd/root-password-crypted", err) < 0 ||
            read_user(plan, p, err) < 0)
                return -1;
        for (char **g = plan->user_groups; g && *g; g++)
                if (!username_valid(*g))
                        return preseed_invalid(p, preseed_find(p, NULL, "passwd/user-default-groups"), err,
                                               "'%s' cannot be a group's name", *g);
        return 0;
}

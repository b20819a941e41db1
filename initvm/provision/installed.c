/* SPDX-License-Identifier: MIT */
#include "provision/installed.h"

#include "base/file.h"
#include "base/json.h"
#include "base/util.h"
#include "provision/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Some lines that the installer writes. */
#define APT_CONF_MAX (64u * 1024)

/* netcfg's, of a network card that systemd-networkd has now. */
static const char only_loopback[] = "# The other network cards are systemd-networkd's, see /etc/systemd/network.\n"
                                    "auto lo\n"
                                    "iface lo inet loopback\n";

bool installed_static_network(const struct preseed *p)
{
        static const struct {
                const char *question, *value; /* NULL: any */
        } signs[] = {
                {"netcfg/disable_autoconfig", "true"}, {"netcfg/disable_dhcp", "true"}, {"netcfg/use_autoconfig", "false"},
                {"netcfg/use_dhcp", "false"},          {"netcfg/get_ipaddress", NULL},  {"netcfg/enable", "false"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
                const struct preseed_entry *e = preseed_find(p, NULL, signs[i].question);

                if (e && (signs[i].value ? streq(e->value, signs[i].value) : *e->value != '\0'))
                        return true;
        }
        return false;
}

struct plan *installed_plan(const struct image *image, struct preseed *preseed, const struct plan_overrides *overrides,
                            struct error *err)
{
        autoplan struct plan *plan = xcalloc(1, sizeof(*plan));

        plan->image = image;
        plan->selections = preseed_selections(preseed);
        if (plan_read_system(plan, preseed, overrides, err) < 0 || plan_read_apt(plan, preseed, overrides, err) < 0 ||
            plan_read_packages(plan, preseed, err) < 0)
                return NULL;
        return take_ptr(plan);
}

/* apt-setup leaves the proxy of the installation in apt.conf, where the preseed's belongs and another one does not. */
static int forget_proxy(struct error *err)
{
        autofree char *old = file_read("/etc/apt/apt.conf", APT_CONF_MAX, NULL, NULL), *new = NULL;
        autostrv char **lines = old ? strv_split(old, "\n") : NULL;
        autobuf struct buf b = {0};

        for (char **l = lines; l && *l; l++)
                if (!strstr(*l, "Acquire::http::Proxy") && !strstr(*l, "Acquire::https::Proxy"))
                        buf_printf(&b, "%s\n", *l);
        if (!old || buf_size(&b) == 0)
                return old && unlink("/etc/apt/apt.conf") < 0 ? error_errno(err, errno, "removing apt.conf") : 0;
        new = buf_take_string(&b);
        return guest_write("/etc/apt/apt.conf", 0644, new, err);
}

static int complete(struct plan *plan, bool keep_network, bool proxy_afterwards, struct error *err)
{
        autoclose int agent = open(INSTALLED_FOLDER "/" INSTALLED_AGENT, O_RDONLY | O_CLOEXEC);
        const struct guest guest = {.plan = plan, .keep_network = keep_network, .agent = agent};

        if (agent < 0)
                return error_errno(err, errno, "opening the agent's program");
        if (!keep_network && guest_write("/etc/network/interfaces", 0644, only_loopback, err) < 0)
                return -1;
        if (plan->ntp_server &&
            guest_writef("/etc/systemd/timesyncd.conf.d/initvm.conf", 0644, err, "[Time]\nNTP=%s\n", plan->ntp_server) < 0)
                return -1;
        if ((!proxy_afterwards && forget_proxy(err) < 0) || guest_apply_services(&guest, err) < 0 ||
            guest_complete_boot(plan, err) < 0)
                return -1;
        return guest_forget_identity(err);
}

int installed_complete(struct error *err)
{
        autojson struct json_object *o = json_parse_file(INSTALLED_FOLDER "/" INSTALLED_INPUT, err);
        const char *path = json_get_string(o, "imagePath", ""), *text = json_get_string(o, "preseed", "");
        const struct plan_overrides overrides = {.name = json_get_string(o, "name", ""),
                                                 .mirror = json_get_string(o, "mirror", NULL)};
        autoimage struct image *image = o ? image_parse(path, path, json_get(o, "image"), err) : NULL;
        autopreseed struct preseed *preseed =
                image ? preseed_parse(json_get_string(o, "preseedPath", ""), text, strlen(text), err) : NULL;
        autoplan struct plan *plan = preseed ? installed_plan(image, preseed, &overrides, err) : NULL;

        if (!plan)
                return -1;
        return complete(plan, installed_static_network(preseed), json_get_bool(o, "proxyAfterwards", false), err);
}

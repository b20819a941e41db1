/* SPDX-License-Identifier: MIT */
#include "agent/pty.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define EOF_KEY 0x04 /* Ctrl-D, what VEOF is unless somebody changed it */

/* A guest's locale is UTF-8, so erasing takes whole characters. Everything else is as the kernel begins a terminal. */
static int set_modes(int slave)
{
        struct termios modes;

        if (tcgetattr(slave, &modes) < 0)
                return -1;
        modes.c_iflag |= IUTF8;
        return tcsetattr(slave, TCSANOW, &modes);
}

int pty_open(uid_t owner, struct terminal_size size, int *ret_master, int *ret_slave, struct error *err)
{
        const int flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
        autoclose int master = posix_openpt(flags | O_NONBLOCK), slave = -1;

        if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
                return error_errno(err, errno, "cannot make a terminal in the VM");
        slave = ioctl(master, TIOCGPTPEER, flags); /* ptsname(3) and open(2) in one: ioctl_tty(2) */
        if (slave < 0 || fchown(slave, owner, (gid_t)-1) < 0 || set_modes(slave) < 0)
                return error_errno(err, errno, "cannot open the terminal in the VM");
        pty_resize(master, size);
        *ret_master = take_fd(&master);
        *ret_slave = take_fd(&slave);
        return 0;
}

void pty_resize(int master, struct terminal_size size)
{
        const struct winsize w = {.ws_row = size.rows, .ws_col = size.columns};

        ioctl(master, TIOCSWINSZ, &w); /* cannot fail on a pty */
}

bool pty_type_eof(int master, int slave, bool line_begun)
{
        struct pollfd unread = {.fd = slave, .events = POLLIN};
        struct termios modes;
        char keys[2] = {EOF_KEY, EOF_KEY};

        if (poll(&unread, 1, 0) != 0)
                return false;
        if (tcgetattr(master, &modes) == 0 && modes.c_cc[VEOF] != _POSIX_VDISABLE)
                keys[0] = keys[1] = (char)modes.c_cc[VEOF];
        return write(master, keys, line_begun ? 2 : 1) > 0;
}

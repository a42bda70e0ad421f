# shellcheck shell=sh
# Part of install.sh and of the package's postinst: what they must not shut out.

# The ports of sshd, one per line: as its file says, and where it listens, for its command line or a socket of systemd can
# say otherwise. What it forwards for who is logged in listens under its name too, and is not meant.
ssh_ports() {
  {
    sshd -T 2>/dev/null | sed -n 's/^port //p'
    for socket in ssh.socket sshd.socket; do
      systemctl is-active --quiet "$socket" 2>/dev/null || continue
      systemctl show --property=Listen "$socket" | sed -n 's/^Listen=.*:\([0-9]*\) (Stream).*/\1/p'
    done
    ss -Hltnp 2>/dev/null | sed -n 's/^[^ ]* *[^ ]* *[^ ]* *\([^ ]*\):\([0-9]*\) .*("sshd",pid=\([0-9]*\),.*/\1 \2 \3/p' |
      while read -r address port pid; do
        case $address in 127.* | '[::1]' | '[::ffff:127.'*) continue ;; esac
        case $(tr '\0' ' ' <"/proc/$pid/cmdline") in /* | *'[listener]'*) echo "$port" ;; esac
      done
  } | sort -nu
}

# Prints the policy FILE, as shipped, with ssh where sshd listens on this host: whoever installs this came by it. Where
# that cannot be told, ssh stays on port 22.
policy_with_ssh() {
  ports=$(ssh_ports | paste -sd, -) || true
  case $ports in *,*) ports="\"$ports\"" ;; esac
  sed -E "s/(ports:) 22(,|\$)/\1 ${ports:-22}\2/" "$1"
}

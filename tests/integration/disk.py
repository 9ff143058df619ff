"""A small disk that can be filled: a filesystem in a file, mounted. Mounting needs root; where it may not be, `reason` says so."""
import os
import pathlib
import subprocess


def unmount_below(folder):
    """What a run that was killed left behind: a mounted folder cannot be deleted."""
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        place = line.split()[1]
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", place], check=False)


class Disk:
    def __init__(self, folder, megabytes):
        self.folder, image = pathlib.Path(folder), pathlib.Path(f"{folder}.image")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ballast = self.folder / "ballast"
        self.reason = ""
        try:
            with image.open("wb") as file:
                file.truncate(megabytes << 20)
            for command in (["mkfs.ext4", "-q", "-m", "0", image], ["mount", "-o", "loop", image, self.folder]):
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode != 0:
                    self.reason = f"{command[0]}: {done.stderr.strip()[:200]}"
                    return
        except OSError as error:
            self.reason = str(error)

    def fill(self):
        """Not a byte is left. Reserved, not written: it takes no time."""
        with self.ballast.open("wb") as file:
            while (free := os.statvfs(self.folder).f_bavail) > 0:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, free * os.statvfs(self.folder).f_bsize)
                except OSError:  # the blocks that describe the ballast need room too: what is left is too little for anybody
                    return

    def free(self):
        self.ballast.unlink(missing_ok=True)

    def unmount(self):
        if not self.reason:
            subprocess.run(["umount", "-l", self.folder], check=False)

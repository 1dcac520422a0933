package sqlite

import (
	"os"
	osexec "os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestDiskFull runs storeOnFullDisk on a tmpfs of 24 MB: one of a mount namespace of its own, or the folder that
// MAILWHY_SMALL_DISK names.
func TestDiskFull(t *testing.T) {
	if small := os.Getenv("MAILWHY_SMALL_DISK"); small != "" {
		storeOnFullDisk(t, small)
		return
	}
	if inside := os.Getenv("MAILWHY_TEST_MOUNT"); inside != "" { // in the namespace
		if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", inside, "tmpfs", 0, "size=24m"); err != nil {
			t.Fatal(err)
		}
		storeOnFullDisk(t, inside)
		return
	}
	c := osexec.Command(os.Args[0], "-test.run=^TestDiskFull$", "-test.v")
	c.Env = append(os.Environ(), "MAILWHY_TEST_MOUNT="+t.TempDir())
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if uid := os.Getuid(); uid != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := c.CombinedOutput()
	if c.Process == nil { // no namespaces here
		why := "no mount namespace can be made here: " + err.Error() + "; name the folder of a small file system in MAILWHY_SMALL_DISK"
		if os.Getenv("MAILWHY_LAB") == "required" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestDiskFull") {
		t.Fatalf("%v\n%s", err, out)
	}
}

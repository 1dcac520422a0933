// Package clickhouse runs a small ClickHouse cluster with its ZooKeeper on loopback, for tests: Debian's packages,
// started by hand in a folder of the test, without root and without a daemon.
//
// Promise: everything it starts ends with Stop, or with the process that started it; nothing outside its folder is
// written.
package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/template"
	"time"
)

// Where Debian puts the programs.
const (
	serverProgram = "/usr/sbin/clickhouse-server"
	zookeeperJar  = "/usr/share/java/zookeeper.jar"
)

// patience is how long a server may take to start or stop on a busy machine.
const patience = 90 * time.Second

// Missing says what is not installed, or "".
func Missing() string {
	for _, f := range []string{serverProgram, zookeeperJar} {
		if _, err := os.Stat(f); err != nil {
			return "run `make lab-install` as root: " + f + " is missing"
		}
	}
	if _, err := exec.LookPath("java"); err != nil {
		return "run `make lab-install` as root: java is missing"
	}
	return ""
}

// Cluster is a number of shards with replicas each, called "mail" in the servers' configuration, with the macros shard
// and replica.
type Cluster struct {
	Dir      string
	Password string    // of the user "default"
	Servers  []*Server // shard by shard
	zk       *process
	zkPort   int
}

// Server is one of them.
type Server struct {
	Shard, Replica      int
	TCP, HTTP, Exchange int
	dir                 string
	cluster             *Cluster
	p                   *process
}

// Addr is where its native protocol is spoken.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.TCP) }

// Start runs shards × replicas servers in the folder, without a password.
func Start(ctx context.Context, dir string, shards, replicas int) (*Cluster, error) {
	return StartShape(ctx, dir, "", slices.Repeat([]int{replicas}, shards)...)
}

// StartShape runs as many servers of each shard as said.
func StartShape(ctx context.Context, dir, password string, replicas ...int) (*Cluster, error) {
	var last error
	for range 3 { // a port that was free may be taken in between
		c := &Cluster{Dir: dir, Password: password}
		if last = c.start(ctx, replicas); last == nil {
			return c, nil
		}
		c.Stop()
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
	}
	return nil, last
}

func (c *Cluster) start(ctx context.Context, replicas []int) error {
	n := 0
	for _, r := range replicas {
		n += r
	}
	ports, err := freePorts(1 + 3*n)
	if err != nil {
		return err
	}
	c.zkPort = ports[0]
	for shard, r := range replicas {
		for i := range r {
			p := ports[1+3*len(c.Servers):]
			c.Servers = append(c.Servers, &Server{Shard: shard + 1, Replica: i + 1, TCP: p[0], HTTP: p[1], Exchange: p[2],
				dir: filepath.Join(c.Dir, fmt.Sprintf("server%d", len(c.Servers)+1)), cluster: c})
		}
	}
	if err := c.startZooKeeper(ctx); err != nil {
		return err
	}
	for _, s := range c.Servers { // one after the other: ZooKeeper is slow while it is young
		if err := s.Restart(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends all of them.
func (c *Cluster) Stop() {
	for _, s := range c.Servers {
		s.Kill()
	}
	if c.zk != nil {
		c.zk.kill()
	}
}

func freePorts(n int) (ports []int, err error) {
	for range n {
		l, lerr := net.Listen("tcp", "127.0.0.1:0")
		if lerr != nil {
			return nil, lerr
		}
		defer l.Close() // all are held until the last was found
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func (c *Cluster) startZooKeeper(ctx context.Context) error {
	dir := filepath.Join(c.Dir, "zookeeper")
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		return err
	}
	conf := fmt.Sprintf("clientPort=%d\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\ndataDir=%s/data\ntickTime=2000\nmaxClientCnxns=0\n4lw.commands.whitelist=srvr\n", c.zkPort, dir)
	if err := os.WriteFile(filepath.Join(dir, "zoo.cfg"), []byte(conf), 0o600); err != nil {
		return err
	}
	p, err := run(dir, "java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-Dzookeeper.jmx.log4j.disable=true", "-cp", dir+":"+zookeeperJar,
		"org.apache.zookeeper.server.quorum.QuorumPeerMain", filepath.Join(dir, "zoo.cfg"))
	if err != nil {
		return err
	}
	c.zk = p
	return p.until(ctx, "zookeeper", func() bool {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", c.zkPort), time.Second)
		if err != nil {
			return false
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := conn.Write([]byte("srvr")); err != nil {
			return false
		}
		b, err := io.ReadAll(conn)
		return err == nil && bytes.Contains(b, []byte("Mode: ")) // before that it takes no sessions, and these servers crash on that
	})
}

var serverConfig = template.Must(template.New("").Parse(`<yandex>
<logger><level>warning</level><log>{{.Dir}}/server.log</log><errorlog>{{.Dir}}/error.log</errorlog></logger>
<http_port>{{.S.HTTP}}</http_port><tcp_port>{{.S.TCP}}</tcp_port><interserver_http_port>{{.S.Exchange}}</interserver_http_port>
<interserver_http_host>127.0.0.1</interserver_http_host><listen_host>127.0.0.1</listen_host>
<mark_cache_size>67108864</mark_cache_size><max_concurrent_queries>200</max_concurrent_queries>
<path>{{.Dir}}/data/</path><tmp_path>{{.Dir}}/tmp/</tmp_path><users_config>{{.Dir}}/users.xml</users_config>
<default_profile>default</default_profile><default_database>default</default_database>
<zookeeper><node><host>127.0.0.1</host><port>{{.ZK}}</port></node><session_timeout_ms>10000</session_timeout_ms></zookeeper>
<distributed_ddl><path>/clickhouse/task_queue/ddl</path></distributed_ddl>
<macros><shard>{{.S.Shard}}</shard><replica>{{.S.Replica}}</replica></macros>
<remote_servers><mail>
{{- range .Shards}}<shard><internal_replication>true</internal_replication>
{{- range .}}<replica><host>127.0.0.1</host><port>{{.TCP}}</port><user>default</user><password>{{$.Password}}</password></replica>{{end}}</shard>
{{end}}</mail></remote_servers>
</yandex>
`))

var usersConfig = template.Must(template.New("").Parse(`<yandex><profiles><default><max_memory_usage>2000000000</max_memory_usage><max_threads>2</max_threads></default></profiles>
<users><default><password>{{.Password}}</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users>
<quotas><default><interval><duration>3600</duration><queries>0</queries><errors>0</errors><result_rows>0</result_rows><read_rows>0</read_rows><execution_time>0</execution_time></interval></default></quotas></yandex>
`))

// begin starts the process.
func (s *Server) begin() error {
	if err := os.MkdirAll(filepath.Join(s.dir, "data"), 0o700); err != nil {
		return err
	}
	shards := map[int][]*Server{}
	for _, o := range s.cluster.Servers {
		shards[o.Shard] = append(shards[o.Shard], o)
	}
	with := map[string]any{"Dir": s.dir, "S": s, "ZK": s.cluster.zkPort, "Shards": shards, "Password": s.cluster.Password}
	for name, t := range map[string]*template.Template{"config.xml": serverConfig, "users.xml": usersConfig} {
		var text bytes.Buffer
		if err := t.Execute(&text, with); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.dir, name), text.Bytes(), 0o600); err != nil {
			return err
		}
	}
	p, err := run(s.dir, serverProgram, "--config-file="+filepath.Join(s.dir, "config.xml"))
	s.p = p
	return err
}

// ready waits until the server answers and has its session with ZooKeeper.
func (s *Server) ready(ctx context.Context) error {
	return s.p.until(ctx, fmt.Sprintf("clickhouse-server %d.%d", s.Shard, s.Replica), func() bool {
		_, err := s.Ask(ctx, "SELECT count() FROM system.zookeeper WHERE path = '/'")
		return err == nil
	})
}

// Ask gives the answer of this server to a query, as tab-separated text.
func (s *Server) Ask(ctx context.Context, sql string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	where := fmt.Sprintf("http://127.0.0.1:%d/?", s.HTTP) + url.Values{"password": {s.cluster.Password}, "query": {sql}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return "", err
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err == nil && r.StatusCode != http.StatusOK {
		err = errors.New(string(b))
	}
	return strings.TrimSpace(string(b)), err
}

// Kill ends the server at once, as kill -9 does, and waits until it is gone.
func (s *Server) Kill() {
	if s.p != nil {
		s.p.kill()
	}
}

// Restart starts it where it was, and waits until it answers. Servers of 18.16 crash when ZooKeeper does not take their
// first session in time: such a one is started once more.
func (s *Server) Restart(ctx context.Context) (err error) {
	for range 5 {
		if err = s.begin(); err != nil {
			return err
		}
		if err = s.ready(ctx); err == nil || ctx.Err() != nil {
			return err
		}
		s.Kill()
	}
	return err
}

// process is a program that was started here.
type process struct {
	cmd  *exec.Cmd
	dir  string
	done chan struct{}
}

func run(dir, name string, args ...string) (*process, error) {
	out, err := os.OpenFile(filepath.Join(dir, "out.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &process{cmd: exec.Command(name, args...), dir: dir, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = out, out, dir
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // killed, or its log tells
		close(p.done)
	}()
	return p, nil
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // ended by itself
	<-p.done
}

// until waits for a state of the program; its end is an error with the last lines it wrote.
func (p *process) until(ctx context.Context, what string, is func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-p.done:
			return errors.New(what + " ended: " + p.words())
		case <-ctx.Done():
			return errors.New(what + " does not answer: " + p.words())
		case <-tick.C:
		}
	}
	return nil
}

// words are the last lines it wrote.
func (p *process) words() string {
	var all []string
	for _, n := range []string{"out.log", "error.log"} {
		b, _ := os.ReadFile(filepath.Join(p.dir, n)) // there may be none
		all = append(all, string(b[max(0, len(b)-2000):]))
	}
	return strings.Join(all, "\n")
}

// SPDX-License-Identifier: Apache-2.0
// wire: the shim's wire formats against containerd's own Go packages.
//
//	wire fields DESCRIPTORS        our .proto files (a protoc descriptor set) name every field as containerd does
//	wire sandbox SHIM BUNDLE       Sandbox and Streaming services, deadlines, oversized requests, both Task names,
//	                               on a shim that this program starts as containerd 2.3 does
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	cg1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	cg2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	_ "github.com/containerd/containerd/api/events"
	bootapi "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	sandbox "github.com/containerd/containerd/api/runtime/sandbox/v1"
	taskv2 "github.com/containerd/containerd/api/runtime/task/v2"
	task "github.com/containerd/containerd/api/runtime/task/v3"
	_ "github.com/containerd/containerd/api/services/ttrpc/events/v1"
	streaming "github.com/containerd/containerd/api/services/streaming/v1"
	_ "github.com/containerd/containerd/api/types"
	_ "github.com/containerd/containerd/api/types/runc/options"
	_ "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	transfer "github.com/containerd/containerd/api/types/transfer"
	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"
	"net"
)

var failed bool

func check(what string, ok bool, more ...any) {
	if ok {
		fmt.Println("ok wire:", what)
		return
	}
	failed = true
	fmt.Printf("not ok wire: %s: %s\n", what, strings.ReplaceAll(fmt.Sprint(more...), "\n", "|"))
}

// ---- fields ----

// Where our packages' messages are found in containerd's.
var packages = map[string][]string{
	"task":      {"containerd.task.v3.", "containerd.runc.v1.", "containerd.v1.types."},
	"sandbox":   {"containerd.runtime.sandbox.v1."},
	"events":    {"containerd.events.", "containerd.services.events.ttrpc.v1.", "containerd.types."},
	"ctypes":    {"containerd.types."},
	"bootstrap": {"containerd.runtime.bootstrap.v1.", "containerd.types.", "runtimeoptions.v1.", "containerd.runc.v1."},
	"streaming": {"containerd.services.streaming.v1.", "containerd.types.transfer."},
	"cgroups1":  {"io.containerd.cgroups.v1."},
	"cgroups2":  {"io.containerd.cgroups.v2."},
	"wkt":       {"google.protobuf."},
}

// Our names where they had to differ: two Options in one of our packages.
var renamed = map[string]string{
	"bootstrap.RuntimeOptions": "runtimeoptions.v1.Options",
	"bootstrap.RuncOptions":    "containerd.runc.v1.Options",
}

func theirs(m protoreflect.MessageDescriptor) protoreflect.MessageDescriptor {
	pkg := string(m.ParentFile().Package())
	names := []string{}
	if n, ok := renamed[string(m.FullName())]; ok {
		names = append(names, n)
	}
	for _, p := range packages[pkg] {
		names = append(names, p+string(m.Name()))
	}
	for _, n := range names {
		if d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(n)); err == nil {
			if md, ok := d.(protoreflect.MessageDescriptor); ok {
				return md
			}
		}
	}
	return nil
}

func fields(path string) {
	raw, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(raw, set); err != nil {
		panic(err)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		panic(err)
	}
	n := 0
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := 0; i < f.Messages().Len(); i++ {
			m := f.Messages().Get(i)
			if packages[string(f.Package())] == nil {
				continue
			}
			t := theirs(m)
			if t == nil {
				fmt.Println("note", m.FullName(), "is not in the Go packages")
				continue
			}
			for j := 0; j < m.Fields().Len(); j++ {
				ours := m.Fields().Get(j)
				th := t.Fields().ByNumber(ours.Number())
				// enums that are open on the wire may be integers with us
				same := th != nil && (th.Kind() == ours.Kind() || th.Kind() == protoreflect.EnumKind && ours.Kind() == protoreflect.Int32Kind) &&
					th.Cardinality() == ours.Cardinality()
				lower := func(s protoreflect.Name) string { return strings.ToLower(strings.ReplaceAll(string(s), "_", "")) }
				if same && lower(th.Name()) != lower(ours.Name()) {
					fmt.Println("note", ours.FullName(), "is called", th.Name(), "there")
				}
				if th == nil {
					fmt.Println("note", ours.FullName(), "is newer than the Go package")
				} else if !same {
					check(string(ours.FullName()), false, th)
				}
				n++
			}
		}
		return true
	})
	check(fmt.Sprintf("%d fields compared", n), n > 300)
}

// ---- a shim of our own ----

func startShim(shim, dir, id string) string {
	params := &bootapi.BootstrapParams{InstanceID: id, Namespace: "wire", ContainerdGrpcAddress: filepath.Join(dir, "c.sock"),
		ContainerdTtrpcAddress: "", LogLevel: 0}
	s := filepath.Join(dir, "s")
	params.SocketDir = &s
	in, _ := proto.Marshal(params)
	cmd := exec.Command(shim, "-namespace", "wire", "-address", filepath.Join(dir, "c.sock"), "-id", id, "start")
	cmd.Dir = dir
	cmd.Stdin = bytes.NewReader(in)
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(begin)
	check("start", err == nil, err, string(out))
	res := &bootapi.BootstrapResult{}
	check("start answers a BootstrapResult", proto.Unmarshal(out, res) == nil && res.Version == 3 && res.Protocol == "ttrpc", string(out))
	fmt.Println("     start took", took)
	return strings.TrimPrefix(res.Address, "unix://")
}

func dial(addr string) *ttrpc.Client {
	c, err := net.Dial("unix", addr)
	if err != nil {
		panic(err)
	}
	return ttrpc.NewClient(c)
}

func code(err error) codes.Code { return status.Code(err) }

func sandboxTest(shim, dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	id := "sb1"
	addr := startShim(shim, dir, id)
	again := startShim(shim, dir, id)
	check("a second start finds the same shim", again == addr)
	c := dial(addr)
	defer c.Close()
	sb := sandbox.NewTTRPCSandboxClient(c)
	v2 := taskv2.NewTTRPCTaskClient(c)
	v3 := task.NewTTRPCTaskClient(c)

	_, err := sb.SandboxStatus(ctx, &sandbox.SandboxStatusRequest{SandboxID: id})
	check("status of no sandbox", code(err) == codes.NotFound, err)
	con, err := v3.Connect(ctx, &task.ConnectRequest{ID: "nobody"})
	check("connect to an unknown id", err == nil && con.TaskPid == 0 && con.ShimPid > 0, err)
	_, err = v2.State(ctx, &taskv2.StateRequest{ID: "nobody"})
	check("state of an unknown id (v2)", code(err) == codes.NotFound, err)
	_, err = v3.Checkpoint(ctx, &task.CheckpointTaskRequest{ID: "nobody"})
	check("checkpoint", code(err) == codes.Unimplemented, err)

	_, err = sb.CreateSandbox(ctx, &sandbox.CreateSandboxRequest{SandboxID: id, BundlePath: dir})
	check("CreateSandbox", err == nil, err)
	if err != nil {
		return
	}
	st, err := sb.StartSandbox(ctx, &sandbox.StartSandboxRequest{SandboxID: id})
	check("StartSandbox", err == nil && st.Pid > 0 && st.CreatedAt.AsTime().Unix() > 0, err)
	pl, err := sb.Platform(ctx, &sandbox.PlatformRequest{SandboxID: id})
	check("Platform", err == nil && pl.Platform.OS == "linux", err)
	ss, err := sb.SandboxStatus(ctx, &sandbox.SandboxStatusRequest{SandboxID: id})
	check("SandboxStatus", err == nil && ss.State == "SANDBOX_READY" && ss.Pid == st.Pid, err, ss)
	_, err = sb.PingSandbox(ctx, &sandbox.PingRequest{SandboxID: id})
	check("PingSandbox", err == nil, err)
	m, err := sb.SandboxMetrics(ctx, &sandbox.SandboxMetricsRequest{SandboxID: id})
	check("SandboxMetrics", err == nil && metricsDecode(m.GetMetrics().GetData()), err)
	_, err = v3.Shutdown(ctx, &task.ShutdownRequest{ID: id})
	check("Shutdown has no effect while the sandbox lives", err == nil, err)

	short, c2 := context.WithTimeout(ctx, 100*time.Millisecond)
	_, err = sb.WaitSandbox(short, &sandbox.WaitSandboxRequest{SandboxID: id})
	c2()
	check("deadline of a Wait", errors.Is(err, context.DeadlineExceeded) || code(err) == codes.DeadlineExceeded, err)
	_, err = v3.State(ctx, &task.StateRequest{ID: strings.Repeat("x", 4<<20)})
	check("oversized request", code(err) == codes.ResourceExhausted, err)
	_, err = sb.PingSandbox(ctx, &sandbox.PingRequest{SandboxID: id})
	check("the connection survives it", err == nil, err)
	err = c.Call(ctx, "no.such.Service", "Nope", &task.StateRequest{}, &task.StateResponse{})
	check("unknown service", code(err) == codes.Unimplemented, err)

	streams(ctx, c, v3, dir, addr)

	waited := make(chan *sandbox.WaitSandboxResponse, 1)
	go func() {
		w, _ := sb.WaitSandbox(ctx, &sandbox.WaitSandboxRequest{SandboxID: id})
		waited <- w
	}()
	time.Sleep(100 * time.Millisecond)
	_, err = sb.StopSandbox(ctx, &sandbox.StopSandboxRequest{SandboxID: id, TimeoutSecs: 5})
	check("StopSandbox", err == nil, err)
	w := <-waited
	check("WaitSandbox", w != nil && w.ExitStatus == 137 && w.ExitedAt.AsTime().Unix() > 0, w)
	_, err = sb.ShutdownSandbox(ctx, &sandbox.ShutdownSandboxRequest{SandboxID: id})
	// containerd takes a connection that closes for the answer, too: the daemon ends with this call
	check("ShutdownSandbox", err == nil || errors.Is(err, ttrpc.ErrClosed), err)
	gone := false
	for i := 0; i < 60 && !gone; i++ {
		time.Sleep(50 * time.Millisecond)
		k, err := net.Dial("unix", addr)
		gone = err != nil
		if !gone {
			k.Close()
		}
	}
	check("the shim is gone", gone)
}

func metricsDecode(a *anypb.Any) bool {
	switch a.GetTypeUrl() {
	case "io.containerd.cgroups.v2.Metrics":
		m := &cg2.Metrics{}
		return proto.Unmarshal(a.Value, m) == nil && m.Memory != nil && m.CPU != nil
	case "io.containerd.cgroups.v1.Metrics":
		m := &cg1.Metrics{}
		return proto.Unmarshal(a.Value, m) == nil && m.Memory != nil && m.CPU != nil
	}
	return false
}

// ---- stdio over the Streaming service ----

func pack(url string, m proto.Message) *anypb.Any {
	v, _ := proto.Marshal(m)
	return &anypb.Any{TypeUrl: url, Value: v}
}

func attach(ctx context.Context, c *ttrpc.Client, name string) streaming.TTRPCStreaming_StreamClient {
	st, err := streaming.NewTTRPCStreamingClient(c).Stream(ctx)
	if err == nil {
		err = st.Send(pack("containerd.services.streaming.v1.StreamInit", &streaming.StreamInit{ID: name}))
	}
	if err == nil {
		_, err = st.Recv()
	}
	check("attach "+name, err == nil, err)
	return st
}

// Reads until the end of the stream (or @limit bytes), giving credit as it goes.
func readAll(st streaming.TTRPCStreaming_StreamClient, window int32, limit int) []byte {
	var got []byte
	credit := func(n int32) {
		st.Send(pack("containerd.types.transfer.WindowUpdate", &transfer.WindowUpdate{Update: n}))
	}
	credit(window)
	for limit == 0 || len(got) < limit {
		a, err := st.Recv()
		if err != nil {
			break
		}
		d := &transfer.Data{}
		if proto.Unmarshal(a.Value, d) != nil {
			break
		}
		got = append(got, d.Data...)
		credit(int32(len(d.Data)))
	}
	return got
}

const config = `{"ociVersion":"1.0.2","process":{"user":{"uid":0,"gid":0},"args":["/bin/sh","-c",%q],"env":["PATH=/bin"],"cwd":"/"},
"root":{"path":"rootfs"},"annotations":{"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.sandbox-id":"sb1"},
"linux":{"namespaces":[{"type":"mount"}]}}`

func streams(ctx context.Context, c *ttrpc.Client, v3 task.TTRPCTaskService, dir, addr string) {
	rootfs := os.Getenv("WIRE_ROOTFS")
	if rootfs == "" {
		fmt.Println("skip wire streams: WIRE_ROOTFS is not set")
		return
	}
	b := filepath.Join(dir, "c1")
	os.MkdirAll(b, 0o711)
	os.Symlink(rootfs, filepath.Join(b, "rootfs"))
	os.WriteFile(filepath.Join(b, "config.json"), []byte(fmt.Sprintf(config, "cat; yes 0123456789 | head -c 300000")), 0o644)
	u := func(s string) string { return "ttrpc+unix://" + addr + "?streaming_id=c1-" + s }
	_, err := v3.Create(ctx, &task.CreateTaskRequest{ID: "c1", Bundle: b, Stdin: u("stdin"), Stdout: u("stdout")})
	check("Create with streams", err == nil, err)
	if err != nil {
		return
	}
	out := attach(ctx, c, "c1-stdout")
	in := attach(ctx, c, "c1-stdin")
	_, err = v3.Start(ctx, &task.StartRequest{ID: "c1"})
	check("Start with streams", err == nil, err)
	a, err := in.Recv() // credit first: no credit, no data
	check("credit for stdin", err == nil && strings.HasSuffix(a.TypeUrl, "WindowUpdate"), err)
	in.Send(pack("containerd.types.transfer.Data", &transfer.Data{Data: []byte("hello\n")}))
	in.CloseSend()
	want := "hello\n" + strings.Repeat("0123456789\n", 300000/11+1)[:300000]
	first := readAll(out, 10000, 5000)
	// the client goes away and comes back on another connection
	c2 := dial(addr)
	defer c2.Close()
	rest := readAll(attach(ctx, c2, "c1-stdout"), 20000, 0)
	got := string(first) + string(rest)
	// what was on its way to the first client when it was replaced is that client's
	check("output over two clients", strings.HasPrefix(got, "hello\n") && strings.HasSuffix(want, string(rest)) &&
		len(want)-len(got) <= 10000, len(got), " of ", len(want))
	w, err := v3.Wait(ctx, &task.WaitRequest{ID: "c1"})
	check("Wait", err == nil && w.ExitStatus == 0, err, w)
	_, err = v3.Delete(ctx, &task.DeleteRequest{ID: "c1"})
	check("Delete", err == nil, err)
}

func main() {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "fields":
		fields(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "sandbox":
		sandboxTest(os.Args[2], os.Args[3])
	default:
		fmt.Fprintln(os.Stderr, "usage: wire fields DESCRIPTORS | wire sandbox SHIM DIR")
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

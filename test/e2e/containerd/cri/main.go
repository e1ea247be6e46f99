// SPDX-License-Identifier: Apache-2.0
// cri: what a kubelet does with a pod, over containerd's CRI socket. Usage: cri SOCKET HANDLER IMAGE DIR [shim-sandboxer]
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var failed bool

func check(what string, ok bool, more ...any) {
	label := os.Getenv("LABEL") // as in lib.sh
	if ok {
		fmt.Printf("ok %s: cri: %s\n", label, what)
		return
	}
	failed = true
	fmt.Printf("not ok %s: cri: %s: %s\n", label, what, strings.ReplaceAll(fmt.Sprint(more...), "\n", "|"))
}

type pod struct {
	ctx   context.Context
	rt    cri.RuntimeServiceClient
	id    string
	conf  *cri.PodSandboxConfig
	image string
}

func (p *pod) create(name string, argv ...string) string {
	r, err := p.rt.CreateContainer(p.ctx, &cri.CreateContainerRequest{PodSandboxId: p.id, SandboxConfig: p.conf,
		Config: &cri.ContainerConfig{Metadata: &cri.ContainerMetadata{Name: name}, Image: &cri.ImageSpec{Image: p.image},
			Command: argv, LogPath: name + ".log", Linux: &cri.LinuxContainerConfig{
				SecurityContext: &cri.LinuxContainerSecurityContext{NamespaceOptions: p.conf.Linux.SecurityContext.NamespaceOptions}}}})
	check("create "+name, err == nil, err)
	if err != nil {
		return ""
	}
	return r.ContainerId
}

func (p *pod) start(id string) {
	_, err := p.rt.StartContainer(p.ctx, &cri.StartContainerRequest{ContainerId: id})
	check("start", err == nil, err)
}

func (p *pod) status(id string) *cri.ContainerStatus {
	r, err := p.rt.ContainerStatus(p.ctx, &cri.ContainerStatusRequest{ContainerId: id})
	if err != nil {
		return &cri.ContainerStatus{Message: err.Error()}
	}
	return r.Status
}

func (p *pod) waitExit(id string) *cri.ContainerStatus {
	var s *cri.ContainerStatus
	for i := 0; i < 200; i++ {
		s = p.status(id)
		if s.State == cri.ContainerState_CONTAINER_EXITED {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return s
}

func (p *pod) exec(id string, argv ...string) (string, int32, error) {
	r, err := p.rt.ExecSync(p.ctx, &cri.ExecSyncRequest{ContainerId: id, Cmd: argv, Timeout: 10})
	if err != nil {
		return "", -1, err
	}
	return string(r.Stdout) + string(r.Stderr), r.ExitCode, nil
}

// What containerd does for `kubectl port-forward`: it connects to localhost inside the pod's network namespace.
func (p *pod) portForward() {
	id := p.create("web", "/bin/busybox", "nc", "-ll", "-p", "8080", "-e", "/bin/echo", "from inside")
	p.start(id)
	ps, err := p.rt.PodSandboxStatus(p.ctx, &cri.PodSandboxStatusRequest{PodSandboxId: p.id, Verbose: true})
	var info struct {
		RuntimeSpec struct {
			Linux struct {
				Namespaces []struct{ Type, Path string }
			}
		}
	}
	if err == nil {
		err = json.Unmarshal([]byte(ps.Info["info"]), &info)
	}
	for _, ns := range info.RuntimeSpec.Linux.Namespaces {
		if ns.Type != "network" {
			continue
		}
		var out []byte
		for i := 0; i < 100 && string(out) != "from inside\n"; i++ { // it may not listen yet
			out, err = exec.Command("nsenter", "--net="+ns.Path, "timeout", "10", "busybox", "nc", "localhost", "8080").Output()
			time.Sleep(100 * time.Millisecond)
		}
		check("a connection to localhost in the pod's network namespace", string(out) == "from inside\n", string(out), err)
		out, _ = exec.Command("nsenter", "--net="+ns.Path, "timeout", "10", "busybox", "nc", "localhost", "8081").Output()
		check("nothing on another port", len(out) == 0, string(out))
	}
}

func main() {
	sock, handler, image, dir := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	defer cancel()
	conn, err := grpc.NewClient("unix://"+sock, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	p := &pod{ctx: ctx, rt: cri.NewRuntimeServiceClient(conn), image: image}
	own := &cri.NamespaceOption{Network: cri.NamespaceMode_POD, Pid: cri.NamespaceMode_CONTAINER}
	logs := filepath.Join(dir, "podlogs")
	os.MkdirAll(logs, 0o755)
	p.conf = &cri.PodSandboxConfig{Hostname: "pod", Metadata: &cri.PodSandboxMetadata{Name: "pod", Uid: "u1", Namespace: "default"},
		LogDirectory: logs, Linux: &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: own}}}
	begin := time.Now()
	r, err := p.rt.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: p.conf, RuntimeHandler: handler})
	check("RunPodSandbox", err == nil, err)
	if err != nil {
		os.Exit(1)
	}
	fmt.Println("     RunPodSandbox took", time.Since(begin))
	p.id = r.PodSandboxId
	ps, err := p.rt.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: p.id})
	check("pod is ready", err == nil && ps.Status.State == cri.PodSandboxState_SANDBOX_READY, err)
	check("pod has an address", strings.HasPrefix(ps.GetStatus().GetNetwork().GetIp(), "10.99.0."), ps)

	a := p.create("a", "/bin/sh", "-c", "echo out of a; while :; do sleep 1; done")
	p.start(a)
	begin = time.Now()
	b := p.create("b", "/bin/sh", "-c", "echo out of b; exit 3")
	p.start(b)
	fmt.Println("     second container took", time.Since(begin))
	s := p.waitExit(b)
	check("exit code", s.ExitCode == 3 && s.Reason == "Error", s)
	check("the other one runs on", p.status(a).State == cri.ContainerState_CONTAINER_RUNNING)
	out, code, err := p.exec(a, "echo", "hello")
	check("ExecSync", err == nil && out == "hello\n" && code == 0, err, out, code)
	out, code, err = p.exec(a, "sh", "-c", "echo no >&2; exit 5")
	check("ExecSync with status", err == nil && out == "no\n" && code == 5, err, out, code)
	_, _, err = p.exec(a, "/nope")
	check("ExecSync of nothing fails", err != nil)
	l, _ := os.ReadFile(filepath.Join(logs, "a.log"))
	check("log of a", strings.Contains(string(l), "stdout F out of a"), string(l))
	l, _ = os.ReadFile(filepath.Join(logs, "b.log"))
	check("log of b", strings.Contains(string(l), "stdout F out of b"), string(l))
	if !strings.Contains(os.Getenv("LABEL"), "processes") { // those are in the host's namespace
		p.portForward()
	}
	st, err := p.rt.ContainerStats(ctx, &cri.ContainerStatsRequest{ContainerId: a})
	check("ContainerStats", err == nil && st.GetStats().GetMemory().GetUsageBytes().GetValue() > 0, err, st)
	ls, err := p.rt.ListContainerStats(ctx, &cri.ListContainerStatsRequest{Filter: &cri.ContainerStatsFilter{PodSandboxId: p.id}})
	check("ListContainerStats", err == nil && len(ls.GetStats()) > 0, err)
	c := p.create("c", "/bin/sleep", "1000")
	p.start(c)
	_, err = p.rt.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: c, Timeout: 1})
	check("StopContainer", err == nil, err)
	s = p.waitExit(c)
	check("stopped by a signal", s.ExitCode == 137 || s.ExitCode == 143, s)
	_, err = p.rt.RemoveContainer(ctx, &cri.RemoveContainerRequest{ContainerId: b})
	check("RemoveContainer", err == nil, err)
	_, err = p.rt.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.id})
	check("StopPodSandbox", err == nil, err)
	check("its containers ended", p.waitExit(a).State == cri.ContainerState_CONTAINER_EXITED)
	_, err = p.rt.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.id})
	check("RemovePodSandbox", err == nil, err)
	if failed {
		os.Exit(1)
	}
}

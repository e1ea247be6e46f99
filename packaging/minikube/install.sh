#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Puts our runtime where minikube's gvisor addon puts its own: the same two files, the same containerd table, the same
# RuntimeClass. Usage: install.sh PROFILE (a running minikube profile with --container-runtime=containerd)
set -euo pipefail
cd "$(dirname "$0")/../.."
profile=${1:-minikube}
mk() { minikube -p "$profile" "$@"; }
for f in runsc containerd-shim-runsc-v1; do
	[ -x "bin/$f" ] || { echo "bin/$f is not built: make"; exit 1; }
	mk cp "bin/$f" "/tmp/$f"
	mk ssh -- sudo install -m 0755 "/tmp/$f" "/usr/bin/$f"
done
mk cp packaging/containerd/config-v2.toml /tmp/runsc-containerd.toml
# Appended once; the original is kept where the addon keeps it. The options table goes: no file is installed.
mk ssh -- 'sudo grep -q "runtimes.runsc\]" /etc/containerd/config.toml || {
	sudo cp /etc/containerd/config.toml /tmp/containerd-config.toml.bak
	sed "/runtimes.runsc.options/,\$d" /tmp/runsc-containerd.toml | sudo tee -a /etc/containerd/config.toml >/dev/null
	sudo systemctl restart containerd
}'
kubectl --context "$profile" apply -f - <<Y
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata:
  name: gvisor
handler: runsc
Y
echo "pods with runtimeClassName: gvisor run on our runtime now"

/** Kubeconfig files with embedded certificates. */

export interface KubeconfigArgs {
  /** Name of the cluster and of the context. */
  readonly cluster: string;
  /** URL of the API server. */
  readonly server: string;
  readonly user: string;
  /** PEM texts. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** Renders a kubeconfig. https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/ */
export const renderKubeconfig = ({ cluster, server, user, ca, cert, key }: KubeconfigArgs): string => `apiVersion: v1
kind: Config
clusters:
  - name: ${cluster}
    cluster:
      server: ${server}
      certificate-authority-data: ${base64(ca)}
users:
  - name: ${user}
    user:
      client-certificate-data: ${base64(cert)}
      client-key-data: ${base64(key)}
contexts:
  - name: ${cluster}
    context:
      cluster: ${cluster}
      user: ${user}
current-context: ${cluster}
`;

/** How Secrets are encrypted in etcd. */

/**
 * Encrypts Secrets with secretbox. Those that are still in plain text can be read, and are encrypted when next written.
 * @see https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/
 * @param key 32 random bytes in base64.
 */
export const encryptionConfig = (key: string): string => `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - secretbox:
          keys:
            - name: key1
              secret: ${key}
      - identity: {}
`;

import type { INodeProperties } from 'n8n-workflow';
import { MARKER_PROPERTY } from './marker.ts';

/**
 * Makes n8n call `preAuthentication`. Masked like a secret although it never holds one, because n8n shows hidden
 * properties in clear otherwise and people should not wonder about it.
 */
export const generationMarker: INodeProperties = {
  displayName: 'Generation Marker',
  name: MARKER_PROPERTY,
  type: 'hidden',
  typeOptions: { expirable: true, password: true },
  default: '',
};

/** A key from `credlife grant`. */
export function accessKey(description: string): INodeProperties {
  return {
    displayName: 'Access Key',
    name: 'accessKey',
    type: 'string',
    typeOptions: { password: true },
    required: true,
    default: '',
    description,
  };
}

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

const ADVANCED = { advanced: [true] };

/** The switch before the settings that few people need. */
export const advancedSwitch: INodeProperties = {
  displayName: 'Advanced',
  name: 'advanced',
  type: 'boolean',
  default: false,
  description: 'Whether to use the settings below. While this is off, they have no effect.',
};

type Show = Readonly<Record<string, readonly (string | boolean)[]>>;

/** A field that shows while all of `show` holds; without it always. */
export function field(property: INodeProperties, show?: Show): INodeProperties {
  if (show === undefined) return property;
  const copied = Object.fromEntries(Object.entries(show).map(([name, values]) => [name, [...values]]));
  return { ...property, displayOptions: { show: copied } };
}

/** The same among the advanced settings. */
export function advancedField(property: INodeProperties, show: Show = {}): INodeProperties {
  return field(property, { ...ADVANCED, ...show });
}

export function textField(
  displayName: string,
  name: string,
  description: string,
  more: Partial<INodeProperties> = {},
): INodeProperties {
  return { displayName, name, type: 'string', default: '', description, ...more };
}

/** Masked, and never read back by the editor. */
export function secretField(
  displayName: string,
  name: string,
  description: string,
  more: Partial<INodeProperties> = {},
): INodeProperties {
  return { ...textField(displayName, name, description, more), typeOptions: { password: true, ...more.typeOptions } };
}

export function numberField(
  displayName: string,
  name: string,
  description: string,
  [preset, least, most]: readonly [number, number, number],
): INodeProperties {
  const typeOptions = { minValue: least, maxValue: most };
  return { displayName, name, type: 'number', typeOptions, default: preset, description };
}

export function notice(name: string, displayName: string): INodeProperties {
  return { displayName, name, type: 'notice', default: '' };
}

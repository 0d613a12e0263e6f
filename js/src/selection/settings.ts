/** A method's settings: what was typed as a value, and the settings without what is the default anyway. */
import type { ParameterInfo, Settings, SettingValue } from "../state/messages.generated";

export type Parsed = { readonly value: SettingValue } | { readonly reason: string };

/** What was typed into a parameter's control; nothing typed means the default. */
export function parseSetting(text: string, parameter: ParameterInfo): Parsed {
  const { kind, name, choices } = parameter;
  const typed = text.trim();
  switch (kind) {
    case "bool":
      return { value: typed === "true" };
    case "text":
      return { value: text };
    case "choice":
      if (choices?.includes(text)) return { value: text };
      return { reason: `${name} must be one of ${(choices ?? []).join(", ")}, but ${typed} came` };
    case "int":
    case "float": {
      if (typed === "") return { value: parameter.value };
      const value = Number(typed);
      const what = kind === "int" ? "a whole number" : "a number";
      const { min, max } = parameter;
      const wrong = (wanted: string): Parsed => ({ reason: `${name} must be ${wanted}, but ${typed} came` });
      if (!Number.isFinite(value) || (kind === "int" && !Number.isSafeInteger(value))) return wrong(what);
      if (typeof min === "number" && value < min) return wrong(`${what} of at least ${min}`);
      if (typeof max === "number" && value > max) return wrong(`${what} of at most ${max}`);
      return { value };
    }
  }
}

/** The present value of a parameter: what was set, else the default. */
export function settingOf(settings: Settings, method: string, { name, value }: ParameterInfo): SettingValue {
  const own = Object.hasOwn(settings, method) ? settings[method]! : {};
  return Object.hasOwn(own, name) ? own[name]! : value;
}

export function settingText(value: SettingValue): string {
  return value === null ? "" : String(value);
}

/** The settings with one value changed; defaults are left out, and methods of which nothing is left. */
export function withSetting(
  settings: Settings,
  method: string,
  { name, value: usual }: ParameterInfo,
  value: SettingValue,
): Settings {
  const own: Record<string, SettingValue> = { ...(Object.hasOwn(settings, method) ? settings[method] : {}) };
  own[name] = value;
  const kept = Object.entries(own).filter(([key, one]) => key !== name || one !== usual);
  return withMethod(settings, method, Object.fromEntries(kept));
}

/** The settings with those of one method replaced. */
export function withMethod(settings: Settings, method: string, own: Settings[string]): Settings {
  const others = Object.entries(settings).filter(([name]) => name !== method);
  return Object.fromEntries(Object.keys(own).length ? [...others, [method, own]] : others);
}

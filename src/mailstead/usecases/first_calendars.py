"""Names by which Apple's clients ask for a first calendar, or a first list of tasks, although there is one.

iOS asks on each refresh until it finds one that suits it, and a person had a dozen lists called "Reminders". It chooses
the path itself, a UUID in capital letters; who calls a calendar "Tasks" in another client gets one of that name.

Spec: reference 8.4, 8.8 (#325, #424).
"""

from __future__ import annotations

import re
from typing import Final

PLACEHOLDERS: Final = frozenset({"DEFAULT_CALENDAR_NAME", "DEFAULT_TASK_CALENDAR_NAME"})

_OF_LANGUAGE: Final = {
    "ar": ("التقويم", "الأحداث", "افتراضي", "التذكيرات", "المهام", "المواعيد"),
    "cs": ("Kalendář", "Události", "Výchozí", "Připomínky", "Úkoly", "Schůzky"),
    "da": ("Kalender", "Begivenheder", "Standard", "Påmindelser", "Opgaver", "Aftaler"),
    "de": ("Kalender", "Ereignisse", "Standard", "Erinnerungen", "Aufgaben", "Termine"),
    "en": ("Calendar", "Events", "Default", "Reminders", "Tasks", "Appointments"),
    "es": ("Calendario", "Eventos", "Predeterminado", "Recordatorios", "Tareas", "Citas"),
    "fi": ("Kalenteri", "Tapahtumat", "Oletus", "Muistutukset", "Tehtävät", "Tapaamiset"),
    "fr": ("Calendrier", "Événements", "Par défaut", "Rappels", "Tâches", "Rendez-vous"),
    "he": ("לוח שנה", "אירועים", "ברירת מחדל", "תזכורות", "משימות", "פגישות"),
    "hu": ("Naptár", "Események", "Alapértelmezett", "Emlékeztetők", "Feladatok", "Találkozók"),
    "id": ("Kalender", "Acara", "Bawaan", "Pengingat", "Tugas", "Janji temu"),
    "it": ("Calendario", "Eventi", "Predefinito", "Promemoria", "Attività", "Appuntamenti"),
    "ja": ("カレンダー", "イベント", "デフォルト", "リマインダー", "タスク", "予定"),
    "ko": ("캘린더", "이벤트", "기본", "미리 알림", "작업", "약속"),
    "nl": ("Agenda", "Gebeurtenissen", "Standaard", "Herinneringen", "Taken", "Afspraken"),
    "no": ("Kalender", "Hendelser", "Standard", "Påminnelser", "Oppgaver", "Avtaler"),
    "pl": ("Kalendarz", "Wydarzenia", "Domyślny", "Przypomnienia", "Zadania", "Spotkania"),
    "pt": ("Calendário", "Eventos", "Padrão", "Lembretes", "Tarefas", "Compromissos"),
    "ru": ("Календарь", "События", "По умолчанию", "Напоминания", "Задачи", "Встречи"),
    "sv": ("Kalender", "Händelser", "Standard", "Påminnelser", "Uppgifter", "Möten"),
    "th": ("ปฏิทิน", "กิจกรรม", "ค่าเริ่มต้น", "เตือนความจำ", "งาน", "การนัดหมาย"),
    "tr": ("Takvim", "Etkinlikler", "Varsayılan", "Anımsatıcılar", "Görevler", "Randevular"),
    "uk": ("Календар", "Події", "За замовчуванням", "Нагадування", "Завдання", "Зустрічі"),
    "vi": ("Lịch", "Sự kiện", "Mặc định", "Lời nhắc", "Nhiệm vụ", "Cuộc hẹn"),
    "zh": ("日历", "日曆", "事件", "默认", "预设", "提醒事项", "提醒事項", "任务", "任務", "约会", "行程"),
}
_LOCALISED: Final = frozenset(name.casefold() for names in _OF_LANGUAGE.values() for name in names)
_APPLES_PATH: Final = re.compile(r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}")


def asks_for_the_first(name: str, display_name: str) -> bool:
    """Whether a request for a new calendar means the one that every account has."""
    if display_name in PLACEHOLDERS:
        return True
    return display_name.casefold() in _LOCALISED and _APPLES_PATH.fullmatch(name) is not None

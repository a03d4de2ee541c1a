-- Three tables and one function. Events are text: nothing looks into them, and jsonb would parse
-- each one on the way in and not give it back as it came. There are no foreign keys: the function
-- is the only one that writes, and a check would be a row lock more for each state and task.

CREATE TABLE services (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer text NOT NULL,
  type text NOT NULL,
  ended timestamptz,
  event text NOT NULL
);
CREATE UNIQUE INDEX services_active ON services (customer, type) WHERE ended IS NULL;

CREATE TABLE states (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  service bigint NOT NULL,
  type text NOT NULL,
  ended timestamptz,
  event text NOT NULL
);
CREATE UNIQUE INDEX states_active ON states (service, type) WHERE ended IS NULL;

CREATE TABLE tasks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  service bigint NOT NULL,
  state bigint NOT NULL,
  type text NOT NULL,
  ended timestamptz,
  event text NOT NULL
);
CREATE UNIQUE INDEX tasks_active ON tasks (service, type) WHERE ended IS NULL;

-- composite_start finds or creates for one item: it looks first, so that finding writes nothing,
-- and where two create at once the second one waits in its INSERT, finds a conflict, and looks
-- again. A task's event is null where the item has none. One item a call: taking arrays of items
-- made a call with one item a tenth slower.
CREATE FUNCTION composite_start(
  the_customer text, service_type text, state_type text, task_type text,
  service_event text, state_event text, task_event text,
  OUT the_service bigint, OUT service_created boolean,
  OUT the_state bigint, OUT state_created boolean,
  OUT the_task bigint, OUT task_created boolean
) LANGUAGE plpgsql AS $$
BEGIN
  service_created := false;
  LOOP
    SELECT id INTO the_service FROM services
      WHERE customer = the_customer AND type = service_type AND ended IS NULL;
    EXIT WHEN FOUND;
    INSERT INTO services (customer, type, event)
      VALUES (the_customer, service_type, service_event)
      ON CONFLICT (customer, type) WHERE ended IS NULL DO NOTHING
      RETURNING id INTO the_service;
    service_created := FOUND;
    EXIT WHEN FOUND;
  END LOOP;

  state_created := false;
  LOOP
    IF NOT service_created THEN -- else it holds nothing yet
      SELECT id INTO the_state FROM states
        WHERE service = the_service AND type = state_type AND ended IS NULL;
      EXIT WHEN FOUND;
    END IF;
    INSERT INTO states (service, type, event)
      VALUES (the_service, state_type, state_event)
      ON CONFLICT (service, type) WHERE ended IS NULL DO NOTHING
      RETURNING id INTO the_state;
    state_created := FOUND;
    EXIT WHEN FOUND;
  END LOOP;

  task_created := false;
  IF task_event IS NULL THEN
    the_task := 0;
    RETURN;
  END IF;
  LOOP
    IF NOT service_created THEN
      SELECT id INTO the_task FROM tasks
        WHERE service = the_service AND type = task_type AND ended IS NULL;
      EXIT WHEN FOUND;
    END IF;
    INSERT INTO tasks (service, state, type, event)
      VALUES (the_service, the_state, task_type, task_event)
      ON CONFLICT (service, type) WHERE ended IS NULL DO NOTHING
      RETURNING id INTO the_task;
    task_created := FOUND;
    EXIT WHEN FOUND;
  END LOOP;
END $$;

-- The department's table, as the adapter reads it. 部门的业务表。
CREATE TABLE public.companies (
    tyshxydm text PRIMARY KEY,
    qymc     text,
    clrq     text,
    zt       text,
    gxsj     timestamptz NOT NULL DEFAULT now()
);

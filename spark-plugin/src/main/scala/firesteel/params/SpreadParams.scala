package firesteel.params

import firesteel.data.SpreadRows
import org.apache.spark.ml.param.{Param, Params}

/** The distribution of the rows over the workers. docs/rows.md has the rule of `auto`. */
private[firesteel] trait SpreadParams extends Params {

  /** The shuffle of the rows over the tasks before training: `auto` shuffles if tasks would otherwise get rows that
    * differ in their labels or features, `always` shuffles unless the DataFrame was repartitioned into as many
    * partitions, `never` reads rows where they are. Default: auto.
    */
  final val spreadRows: Param[String] = TextParam(
    this,
    "spreadRows",
    "shuffle of the rows over the tasks before training: auto (if tasks would otherwise get different " +
      "kinds of rows), always, never",
    Validators.oneOf("spreadRows", SpreadRows.all.map(_.name))
  )

  setDefault(spreadRows -> SpreadRows.Auto.name)

  final def getSpreadRows: String = $(spreadRows)
}

/** The setter of [[SpreadParams]], for estimators. */
private[firesteel] trait SpreadSetters extends SpreadParams {
  def setSpreadRows(value: String): this.type = set(spreadRows, value)
}

package firesteel.params

import firesteel.data.SpreadRows
import org.apache.spark.ml.param.{Param, Params}

/** The way rows come to the workers. docs/rows.md has the rule of `auto`. */
private[firesteel] trait SpreadParams extends Params {

  /** Whether rows are shuffled over the tasks before they are trained: `auto` shuffles where tasks would get rows that differ
    * in their labels or features otherwise, `always` shuffles unless the DataFrame was repartitioned into as many
    * partitions, `never` reads rows where they lie. Default: auto.
    */
  final val spreadRows: Param[String] = new Param[String](
    this,
    "spreadRows",
    "whether rows are shuffled over the tasks first: auto (where tasks would get different kinds of rows otherwise), always, never",
    Validators.oneOf("spreadRows", SpreadRows.all.map(_.name))
  )

  setDefault(spreadRows -> SpreadRows.Auto.name)

  final def getSpreadRows: String = $(spreadRows)
}

/** The setter of [[SpreadParams]], for estimators. */
private[firesteel] trait SpreadSetters extends SpreadParams {
  def setSpreadRows(value: String): this.type = set(spreadRows, value)
}

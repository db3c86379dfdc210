package firesteel.params

import firesteel.data.ValidationRows
import org.apache.spark.ml.param.shared.{HasSeed, HasValidationIndicatorCol}
import org.apache.spark.ml.param.{DoubleParam, StringArrayParam}

/** The validation rows. They are not trained but scored after each epoch, on the center variable as it is when all
  * workers have trained that epoch.
  */
private[firesteel] trait ValidationParams extends HasValidationIndicatorCol with HasSeed {

  /** The share of the rows that is held out, between 0 and 1, instead of `validationIndicatorCol`. The choice depends
    * on the rows' contents and the seed, not on their order; copies of a row stay together. Default: none.
    */
  final val validationFraction: DoubleParam = new DoubleParam(
    this,
    "validationFraction",
    "the share of the rows that is held out for validation, between 0 and 1, instead of validationIndicatorCol",
    Validators.number("validationFraction", "a number between 0 and 1")(value =>
      value > 0 && value < 1
    )
  )

  /** The metrics of the validation rows after each epoch, beside the loss: accuracy, top<k> such as top5, auc (of two
    * classes), confusion; mse, mae, r2. With several outputs, a name applies to each output whose label it fits, and
    * `<output>_<metric>`, such as `price_mae`, to one output. Default: for each output accuracy for classes, and auc
    * for two classes; mse, mae and r2 for numbers.
    */
  final val metrics: StringArrayParam = new StringArrayParam(
    this,
    "metrics",
    "metrics of the validation rows after each epoch: accuracy, top<k>, auc, confusion; mse, mae, r2; " +
      "<output>_<metric> for one of several outputs"
  )

  final def getValidationFraction: Double = $(validationFraction)
  final def getMetrics: Array[String] = $(metrics)

  /** The rows that are held out, if there are any. */
  private[firesteel] final def validationRows: Option[ValidationRows] = {
    val column = get(validationIndicatorCol).filter(_.nonEmpty)
    require(
      column.isEmpty || !isSet(validationFraction),
      "validationIndicatorCol and validationFraction are both set; set only one of them"
    )
    val fraction = get(validationFraction).map(ValidationRows.Fraction(_, getSeed))
    column.map(ValidationRows.Marked(_)).orElse(fraction)
  }
}

/** Setters of [[ValidationParams]], for estimators. */
private[firesteel] trait ValidationSetters extends ValidationParams {
  def setValidationIndicatorCol(value: String): this.type = set(validationIndicatorCol, value)
  def setValidationFraction(value: Double): this.type = set(validationFraction, value)
  def setMetrics(value: Array[String]): this.type = set(metrics, value)
}

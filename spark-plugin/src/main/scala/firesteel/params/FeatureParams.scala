package firesteel.params

import org.apache.spark.ml.param.shared.HasFeaturesCol
import org.apache.spark.ml.param.{DoubleParam, StringArrayParam}

/** The columns of the features. `featuresCol` names one column: an ML vector (dense or sparse), an array of a numeric
  * type, or binary, each byte being a value. `featuresCols` names several numeric columns instead.
  */
private[firesteel] trait FeatureParams extends HasFeaturesCol {

  /** Several numeric columns that together form the features, in this order; instead of `featuresCol`. */
  final val featuresCols: StringArrayParam = new StringArrayParam(
    this,
    "featuresCols",
    "several numeric columns that together form the features, instead of featuresCol",
    (columns: Array[String]) => {
      require(columns.nonEmpty, "featuresCols must name at least one column")
      columns.groupBy(identity).find(_._2.length > 1).foreach { case (column, _) =>
        throw new IllegalArgumentException(s"featuresCols names the column '$column' twice")
      }
      true
    }
  )

  /** The factor by which each feature value is multiplied. Default: 1, but 1/255 for binary features, whose bytes then
    * lie between 0 and 1.
    */
  final val featuresScale: DoubleParam = new DoubleParam(
    this,
    "featuresScale",
    "factor by which each feature value is multiplied; unless set, 1/255 for binary features and 1 for others",
    Validators.scale("featuresScale")
  )

  final def getFeaturesCols: Array[String] = $(featuresCols)
  final def getFeaturesScale: Double = $(featuresScale)

  /** The features' columns, one or several. */
  private[firesteel] final def featureColumns: Seq[String] = {
    require(
      !(isSet(featuresCols) && isSet(featuresCol)),
      "featuresCol and featuresCols are both set; set only one of them"
    )
    get(featuresCols).map(_.toSeq).getOrElse(Seq($(featuresCol)))
  }
}
